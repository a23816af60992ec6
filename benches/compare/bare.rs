//! How fast the crypto library alone verifies RS256: the least that a new token can cost.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use motley_tests::op::TestOp;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::Value;

const TIME: Duration = Duration::from_secs(2);

/// What verifications take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bare {
    /// For each second, with one thread for each processor.
    pub(crate) rate: f64,
    /// Processor time of each, in ms.
    pub(crate) cpu: f64,
}

/// Verifies the signature of this token again and again with the provider's key.
pub(crate) fn measure(op: &TestOp, token: &str) -> Result<Bare> {
    let key = rsa_key(&op.jwks())?;
    let (input, signature) = token.rsplit_once('.').context("not a JWT")?;
    let signature = URL_SAFE_NO_PAD.decode(signature)?;
    key.verify_sig(input.as_bytes(), &signature).ok().context("the key did not make the token")?;
    let processors = thread::available_parallelism()?.get();
    let (begin, before) = (Instant::now(), processor_time()?);
    let work = || {
        let mut count = 0_u64;
        while begin.elapsed() < TIME {
            for _ in 0..100 {
                count += u64::from(key.verify_sig(input.as_bytes(), &signature).is_ok());
            }
        }
        count
    };
    let count: u64 = thread::scope(|scope| {
        let running: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).sum()
    });
    let used = processor_time()?.saturating_sub(before);
    Ok(Bare {
        rate: count as f64 / begin.elapsed().as_secs_f64(),
        cpu: used.as_secs_f64() * 1000.0 / count as f64,
    })
}

fn processor_time() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let time = usage.user_time() + usage.system_time();
    Ok(Duration::from_micros(u64::try_from(time.num_microseconds())?))
}

fn rsa_key(jwks: &Value) -> Result<ParsedPublicKey> {
    let keys = jwks["keys"].as_array().context("no keys")?;
    let key = keys.iter().find(|key| key["kty"] == "RSA").context("no RSA key")?;
    let number = |name: &str| -> Result<Vec<u8>> {
        Ok(URL_SAFE_NO_PAD.decode(key[name].as_str().context("no number")?)?)
    };
    let (n, e) = (number("n")?, number("e")?);
    let components = RsaPublicKeyComponents { n: &n, e: &e };
    components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok().context("not an RSA key")
}
