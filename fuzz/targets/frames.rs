//! Frames of all sockets and the messages in them (R03).
#![no_main]

use libfuzzer_sys::fuzz_target;
use motley_fuzz::{bounded, check_round_trip};
use motley_proto::admin::{AdminAnswer, AdminRequest};
use motley_proto::frame::{Cap, Decoder, HEADER_BYTES, VERSION, encode};
use motley_proto::login::{LoginRequest, Step};
use motley_proto::rest::{
    AuthorisationInfo, Detail, FullStatus, GenerateOtp, Index, Info, OpInfo, Refusal, StateAnswer,
    VerifyUser,
};
use motley_proto::task::{Task, TaskAnswer};

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let cap = if first & 1 == 0 { Cap::LOGIN } else { Cap::TASK };
    let piece = usize::from(first >> 1) + 1;
    bounded(rest.len(), || {
        check_bytes(rest, piece, cap);
        check_messages(rest);
        check_login_request(rest);
    });
});

/// Bytes as they come from a socket, in pieces.
fn check_bytes(bytes: &[u8], piece: usize, cap: Cap) {
    let mut decoder = Decoder::new(cap);
    let mut taken = 0;
    for bytes in bytes.chunks(piece) {
        let wanted = decoder.wanted();
        match decoder.push(bytes) {
            Err(_) => return,
            Ok(whole) => assert_eq!(whole, decoder.wanted() == 0),
        }
        assert!(taken + bytes.len() <= HEADER_BYTES || wanted > 0, "bytes behind a frame");
        taken += bytes.len();
    }
    if decoder.wanted() > 0 {
        return;
    }
    assert!(taken <= cap.bytes() + 4 && taken >= HEADER_BYTES);
    let length = bytes.first_chunk().map(|it| u32::from_be_bytes(*it));
    assert_eq!(length.map(|it| it as usize + 4), Some(taken));
    assert_eq!(bytes.get(4), Some(&VERSION));
    let _ = decoder.finish::<Task>();
}

/// Bytes as the body of every message.
fn check_messages(body: &[u8]) {
    check_round_trip::<Step>(body);
    check_round_trip::<Task>(body);
    check_round_trip::<TaskAnswer>(body);
    check_round_trip::<AdminRequest>(body);
    check_round_trip::<AdminAnswer>(body);
    check_round_trip::<Index>(body);
    check_round_trip::<Info>(body);
    check_round_trip::<OpInfo>(body);
    check_round_trip::<AuthorisationInfo>(body);
    check_round_trip::<StateAnswer>(body);
    check_round_trip::<FullStatus>(body);
    check_round_trip::<GenerateOtp>(body);
    check_round_trip::<VerifyUser>(body);
    check_round_trip::<Detail>(body);
    check_round_trip::<Refusal>(body);
}

/// The one message that holds a secret is written by a door of its own.
fn check_login_request(body: &[u8]) {
    let Ok(request) = serde_json::from_slice::<LoginRequest>(body) else { return };
    let Ok(frame) = encode(&request.wire(), Cap::LOGIN) else {
        assert!(body.len() > Cap::LOGIN.bytes() / 8, "a short request does not fit into a frame");
        return;
    };
    let mut decoder = Decoder::new(Cap::LOGIN);
    assert!(decoder.push(&frame).expect("a frame"));
    let again: LoginRequest = decoder.finish().expect("the same request");
    assert_eq!(*encode(&again.wire(), Cap::LOGIN).expect("fits"), *frame);
}
