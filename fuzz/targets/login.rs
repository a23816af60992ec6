//! Answers at the prompt: their shapes, the pieces of long tokens, and that both ends agree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use motley_daemon::identity::fuzzing::{Presented, read_token};
use motley_fuzz::bounded;
use motley_proto::Code;
use motley_proto::login::{CHUNK_MARKER, MAX_CHUNKS, OTP_BYTES, Shape, shape, split_chunk};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    bounded(text.len(), || {
        let found = shape(text);
        check_chunk(text, found);
        match found {
            Shape::Empty => assert!(text.is_empty()),
            Shape::Opaque(length) => assert_eq!(length, text.len()),
            Shape::OneTimePassword => {
                assert_eq!(text.len(), OTP_BYTES);
                assert_eq!(read_token(text), None, "a one-time password is read as a token");
            }
            Shape::Code => {
                let code = Code::parse(text).expect("a code");
                assert_eq!(shape(code.shown().expose()), Shape::Code);
                assert_eq!(read_token(text), None, "a code is read as a token");
            }
            Shape::Jwt => assert_ne!(read_token(text), Some(Presented::Opaque)),
            Shape::SshdJunk | Shape::Other => {
                assert_eq!(read_token(text), None, "what the module keeps is a token");
            }
            Shape::Chunk { .. } => {}
        }
    });
});

fn check_chunk(text: &str, found: Shape) {
    let pieces = split_chunk(text);
    match (found, pieces) {
        (Shape::Chunk { part, parts }, Some((n, of, piece))) => {
            assert_eq!((part, parts), (n, of));
            assert!((1..=parts).contains(&part) && parts <= MAX_CHUNKS);
            assert!(!piece.is_empty() && text.ends_with(piece) && text.starts_with(CHUNK_MARKER));
            assert!(piece.bytes().all(|b| b.is_ascii_graphic()));
        }
        (_, None) => assert!(!matches!(found, Shape::Chunk { .. })),
        (_, Some(_)) => panic!("a piece is taken for {found:?}"),
    }
}
