//! Keys of the standards' own examples, and keys that must not verify anything.

use super::*;
use proptest::prelude::*;
use serde_json::json;

const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const RS256: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
const ES256: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
const ES512: &str = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
const EDDSA: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

fn rsa() -> Value {
    json!({"kty": "RSA", "n": RSA_N, "e": "AQAB"})
}

fn p256() -> Value {
    json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    })
}

fn p521() -> Value {
    json!({
        "kty": "EC", "crv": "P-521",
        "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
        "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
    })
}

fn ed25519() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
}

fn with(mut key: Value, member: &str, value: Value) -> Value {
    key[member] = value;
    key
}

fn set(keys: &[Value]) -> KeySet {
    let Value::Object(document) = json!({ "keys": keys }) else { panic!("an object") };
    KeySet::parse(&document).unwrap()
}

fn find(keys: &[Value], kid: Option<&str>, algorithm: Algorithm, token: &str) -> Finding {
    let (octets, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    set(keys).verify(kid, algorithm, octets.as_bytes(), &signature)
}

#[test]
fn the_examples_of_rfc_7515_and_rfc_8037_verify() {
    for (key, algorithm, token) in [
        (rsa(), Algorithm::Rs256, RS256),
        (p256(), Algorithm::Es256, ES256),
        (p521(), Algorithm::Es512, ES512),
        (ed25519(), Algorithm::EdDsa, EDDSA),
    ] {
        assert_eq!(find(std::slice::from_ref(&key), None, algorithm, token), Finding::Verified);
        let changed = token.replacen('.', "A.", 1);
        assert_eq!(find(&[key], None, algorithm, &changed), Finding::NoneFits);
    }
}

#[test]
fn r12_a_key_verifies_its_own_algorithms_only() {
    let all = [rsa(), p256(), p521(), ed25519()];
    assert_eq!(find(&all[1..], None, Algorithm::Rs256, RS256), Finding::Unknown);
    assert_eq!(find(&all, None, Algorithm::Ps256, RS256), Finding::NoneFits);
    assert_eq!(find(&all, None, Algorithm::Es384, ES256), Finding::Unknown);
    assert_eq!(find(&all, None, Algorithm::Es512, ES256), Finding::NoneFits);
    let pinned = with(rsa(), "alg", json!("RS512"));
    assert_eq!(find(&[pinned], None, Algorithm::Rs256, RS256), Finding::Unknown);
    let pinned = with(rsa(), "alg", json!("RS256"));
    assert_eq!(find(&[pinned], None, Algorithm::Rs256, RS256), Finding::Verified);
}

#[test]
fn keys_that_are_not_for_verification_are_left_out() {
    for key in [
        with(rsa(), "use", json!("enc")),
        with(rsa(), "use", json!(7)),
        with(rsa(), "key_ops", json!(["encrypt"])),
        with(rsa(), "key_ops", json!("verify")),
        with(rsa(), "alg", json!("RSA-OAEP")),
        with(rsa(), "alg", json!("HS256")),
        with(rsa(), "alg", json!("none")),
        with(rsa(), "alg", json!("ES256")),
        with(rsa(), "d", json!("AQAB")),
        with(rsa(), "kid", json!(7)),
        with(rsa(), "e", json!("AQ")),
        with(rsa(), "e", json!("Ag")),
        with(rsa(), "e", json!("AQAAAAAAAAAB")),
        with(rsa(), "n", json!("AQAB")),
        with(rsa(), "n", json!(RSA_N.repeat(5))),
        with(rsa(), "n", json!("!")),
        with(p256(), "crv", json!("P-384")),
        with(p256(), "crv", json!("secp256k1")),
        with(p256(), "y", json!("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU")),
        with(p256(), "x", json!("AA")),
        with(ed25519(), "crv", json!("X25519")),
        with(ed25519(), "x", json!("AAAA")),
        json!({"kty": "oct", "k": "c2VjcmV0"}),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}),
        json!({"kty": 1}),
        json!({}),
        json!(null),
        json!("key"),
    ] {
        assert_eq!(set(std::slice::from_ref(&key)).len(), 0, "{key}");
        // One that can't be read does not keep the others from being used.
        assert_eq!(set(&[key, rsa()]).len(), 1);
    }
    let fit = with(with(rsa(), "use", json!("sig")), "key_ops", json!(["sign", "verify"]));
    assert_eq!(set(&[fit]).len(), 1);
}

#[test]
fn a_named_key_is_the_only_one_that_is_tried() {
    let other = with(p256(), "kid", json!("b"));
    let named = |kid: &str| with(rsa(), "kid", json!(kid));
    let keys = [named("a"), other];
    assert_eq!(find(&keys, Some("a"), Algorithm::Rs256, RS256), Finding::Verified);
    assert_eq!(find(&keys, Some("b"), Algorithm::Rs256, RS256), Finding::Unknown);
    assert_eq!(find(&keys, Some("c"), Algorithm::Rs256, RS256), Finding::Unknown);
    assert_eq!(find(&keys, None, Algorithm::Rs256, RS256), Finding::Verified);
    assert_eq!(find(&keys, Some("a"), Algorithm::Ps256, RS256), Finding::Wrong);
    // Providers with one key often publish it without an id.
    assert_eq!(find(&[rsa()], Some("a"), Algorithm::Rs256, RS256), Finding::Verified);
}

#[test]
fn the_number_of_keys_and_of_tries_is_bounded() {
    let wrong = with(p521(), "crv", json!("P-521"));
    let many: Vec<Value> = std::iter::repeat_n(wrong, 10).chain([p521()]).collect();
    assert_eq!(find(&many[10..], None, Algorithm::Es512, ES512), Finding::Verified);
    assert_eq!(set(&vec![rsa(); 1000]).len(), MAX_KEYS);
    let decoys: Vec<Value> =
        std::iter::repeat_n(with(rsa(), "e", json!("Aw")), MAX_TRIES).chain([rsa()]).collect();
    assert_eq!(find(&decoys, None, Algorithm::Rs256, RS256), Finding::NoneFits);
    assert_eq!(find(&decoys[1..], None, Algorithm::Rs256, RS256), Finding::Verified);
}

#[test]
fn r12_a_point_of_small_order_is_no_key() {
    for first in [0x00_u8, 0x01, 0x26, 0xc7, 0xec, 0xed, 0xee] {
        for sign in [0x00, 0x80] {
            let mut point = SMALL_ORDER.into_iter().find(|point| point[0] == first).unwrap();
            point[31] |= sign;
            let key = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(point)});
            let keys = set(&[key]);
            let forged = (0..64_u8).any(|text| {
                keys.verify(None, Algorithm::EdDsa, &[text], &[0; 64]) == Finding::Verified
            });
            assert!(!forged, "one signature is good for many texts: {point:02x?}");
            assert_eq!(keys.len(), 0, "{point:02x?}");
        }
    }
    assert_eq!(set(&[ed25519()]).len(), 1);
}

#[test]
fn a_document_without_keys_is_no_key_set() {
    for document in [json!({}), json!({"keys": {}}), json!({"keys": null}), json!({"Keys": []})] {
        let Value::Object(document) = document else { panic!("an object") };
        assert!(KeySet::parse(&document).is_err());
    }
    assert_eq!(set(&[]).len(), 0);
}

proptest! {
    #[test]
    fn r45_a_key_with_any_members_verifies_by_known_algorithms_or_is_left_out(
        kind in "RSA|EC|OKP|oct|\\PC{0,4}",
        curve in "P-256|P-384|P-521|Ed25519|\\PC{0,4}",
        alg in "RS256|ES256|EdDSA|none|HS256|\\PC{0,4}",
        numbers in proptest::collection::vec("[A-Za-z0-9_=-]{0,90}", 4),
        secret in proptest::option::of("AAAA"),
        base in 0..4_usize,
    ) {
        let known = [rsa(), p256(), p521(), ed25519()];
        let text = |at: usize| json!(numbers[at]);
        let made = json!({"kty": kind, "crv": curve, "alg": alg, "n": text(0), "e": text(1), "x": text(2), "y": text(3)});
        for mut key in [made, with(known[base].clone(), "alg", json!(alg))] {
            if let Some(secret) = &secret {
                key = with(key, "d", json!(secret));
            }
            let keys = set(std::slice::from_ref(&key));
            prop_assert!(keys.len() == 0 || (secret.is_none() && Algorithm::named(&alg).is_some()), "{}", key);
            let forged = keys.verify(None, Algorithm::EdDsa, b"text", &[0; 64]);
            prop_assert_ne!(forged, Finding::Verified);
        }
    }
}
