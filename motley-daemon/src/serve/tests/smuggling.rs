//! Requests that two programs could read differently (request smuggling): one answer, then the end.

use super::door::{Plan, QUESTION, open, say, status};

const LENGTHS: &[&str] = &[
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "Content-Length: 5\r\nContent-Length: 6\r\n",
    "Content-Length: 5, 6\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding:\tchunked\r\n",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
    "transfer-encoding: CHUNKED\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Content-Length: +5\r\n",
    "Content-Length: -5\r\n",
    "Content-Length: 0x5\r\n",
    "Content-Length: 5 5\r\n",
    "Content-Length:\r\n",
    "Content-Length : 5\r\n",
    "Content-Length: 18446744073709551616\r\n",
];

const FORMS: &[&str] = &[
    // A line folded as in RFC 822 (RFC 9112 §5.2).
    "X: a\r\n Content-Length: 5\r\n",
    "X: a\r\n\tTransfer-Encoding: chunked\r\n",
    " Content-Length: 5\r\n",
    // CR alone, NUL, no colon, no name.
    "X: a\rContent-Length: 5\r\n",
    "X: a\0\r\n",
    "Content-Length\r\n",
    ": 5\r\n",
    "X\x0b: 5\r\n",
    "Host: other\r\n",
];

/// Exactly one answer of this kind comes, and the question behind the request is not read.
async fn is_refused(request: &[u8]) {
    let door = open(Plan::default()).await;
    let all = say(door.address, &[request, QUESTION].concat()).await;
    let shown = String::from_utf8_lossy(request);
    assert!(["400", "411"].contains(&status(&all)), "{shown:?}: {all}");
    assert_eq!(all.matches("HTTP/1.1 ").count(), 1, "{shown:?}: {all}");
}

#[tokio::test]
async fn a_request_with_two_lengths_is_refused_and_nothing_behind_it_is_read() {
    for lengths in LENGTHS {
        let head = format!("POST /user/deploy HTTP/1.1\r\nHost: x\r\n{lengths}\r\n0\r\n\r\n");
        is_refused(head.as_bytes()).await;
    }
}

#[tokio::test]
async fn a_head_that_is_not_of_the_one_form_is_refused() {
    for lines in FORMS {
        let head = format!("GET /info HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
        is_refused(head.as_bytes()).await;
    }
    for line in [
        "GET /info\r\n",
        "GET  /info HTTP/1.1\r\nHost: x\r\n",
        "GET /in fo HTTP/1.1\r\nHost: x\r\n",
        "GET\t/info HTTP/1.1\r\nHost: x\r\n",
        "GET /info HTTP/1.1 \r\nHost: x\r\n",
        "GET /info HTTP/3.7\r\nHost: x\r\n",
        "G\u{e4}T /info HTTP/1.1\r\nHost: x\r\n",
        // No host, and a target for another one (RFC 9112 §3.2).
        "GET /info HTTP/1.1\r\n",
        "GET http://other/info HTTP/1.1\r\nHost: x\r\n",
        "GET http://x:81/info HTTP/1.1\r\nHost: x\r\n",
        "GET http://x@other/info HTTP/1.1\r\nHost: x\r\n",
    ] {
        is_refused(format!("{line}\r\n").as_bytes()).await;
    }
}

#[tokio::test]
async fn what_stands_behind_a_body_is_never_taken_for_a_request() {
    // Each hides a second request where some program may see the end of the first one.
    let inner = "GET /info HTTP/1.1\r\nHost: x\r\n\r\n";
    for head in [
        format!(
            "POST /user/deploy HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{inner}",
            inner.len()
        ),
        format!("GET /info HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello{inner}"),
        format!("GET /info HTTP/1.1\r\nHost: x\r\nContent-Length: 05\r\n\r\nhello{inner}"),
        format!("GET /info HTTP/1.1\r\nHost: x\r\nX: a\nContent-Length: 5\r\n\r\nhello{inner}"),
        format!(
            "GET /info HTTP/1.1\r\nHost: x\r\nX: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}"
        ),
        format!("OPTIONS /info HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc{inner}"),
        format!("GET /info HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc{inner}"),
    ] {
        let door = open(Plan::default()).await;
        let all = say(door.address, head.as_bytes()).await;
        assert_eq!(all.matches("HTTP/1.").count(), 1, "{head:?}: {all}");
    }
}

#[tokio::test]
async fn requests_of_the_one_form_may_follow_one_another() {
    let door = open(Plan::default()).await;
    let absolute = "GET http://x/info HTTP/1.1\r\nHost: x\r\n\r\n";
    let empty = "POST /user/deploy HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    let last = "GET /info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let all = say(door.address, format!("{absolute}{empty}{last}").as_bytes()).await;
    assert_eq!(all.matches("HTTP/1.1 200").count(), 2, "{all}");
    assert_eq!(all.matches("HTTP/1.1 401").count(), 1, "{all}");
}
