//! The border to C: entry points, PAM items, the conversation, and the kernel's randomness.

#![allow(unsafe_code)]

use crate::flow::{Conversation, Echo, NoAnswer, Reply};
use motley_proto::Secret;
use pamsm::{Pam, PamLibExt, PamServiceModule};
use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    ptr,
};
use zeroize::{Zeroize, Zeroizing};

pamsm::pam_module!(crate::hooks::PamOidc);

const PAM_SUCCESS: c_int = 0;
const PAM_TTY: c_int = 3;
const PAM_CONV: c_int = 5;

/// Kinds of messages of a conversation, see pam_conv(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    PromptEchoOff = 1,
    PromptEchoOn = 2,
    Error = 3,
    Info = 4,
}

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    // Unused by every application (pam_conv(3)).
    code: c_int,
}

type Callback = unsafe extern "C" fn(
    count: c_int,
    messages: *mut *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int;

#[repr(C)]
#[derive(Clone, Copy)]
struct Conv {
    callback: Option<Callback>,
    data: *mut c_void,
}

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_get_item(handle: *const c_void, kind: c_int, item: *mut *const c_void) -> c_int;
}

/// One call from PAM, with its handle.
pub(crate) struct Call<'a> {
    pam: &'a Pam,
}

impl<'a> Call<'a> {
    /// Wraps the handle for as long as the call lasts.
    pub(crate) fn new(pam: &'a Pam) -> Self {
        Self { pam }
    }

    fn item(&self, kind: c_int) -> *const c_void {
        // SAFETY: `Pam` is `repr(transparent)` over the handle pointer, which is `Copy`.
        let handle = unsafe { std::mem::transmute_copy::<Pam, *const c_void>(self.pam) };
        let mut item = ptr::null();
        // SAFETY: libpam gave us the handle for this call, and `item` is ours to be written to.
        let code = unsafe { pam_get_item(handle, kind, &mut item) };
        if code == PAM_SUCCESS { item } else { ptr::null() }
    }

    /// The name of the terminal, if PAM has one.
    pub(crate) fn tty(&self) -> Option<String> {
        let item = self.item(PAM_TTY).cast::<c_char>();
        if item.is_null() {
            return None;
        }
        // SAFETY: PAM_TTY is a C string that lives until somebody sets the item again; it is
        // copied before this function returns.
        let text = unsafe { CStr::from_ptr(item) };
        Some(text.to_string_lossy().into_owned())
    }

    fn conv(&self) -> Result<Conv, NoAnswer> {
        let item = self.item(PAM_CONV).cast::<Conv>();
        if item.is_null() {
            return Err(NoAnswer);
        }
        // SAFETY: PAM_CONV is a `struct pam_conv`, whose layout `Conv` has; it is copied.
        Ok(unsafe { *item })
    }

    fn say(&self, style: Style, text: &str) {
        if let Ok(conv) = self.conv() {
            let _ = converse(conv, style, text, libc::free);
        }
    }

    /// Shows an error to the user. sshd delivers it with the next prompt or the end.
    pub(crate) fn show_error(&self, text: &str) {
        self.say(Style::Error, text);
    }

    /// Shows a note to the user.
    pub(crate) fn show_note(&self, text: &str) {
        self.say(Style::Info, text);
    }

    /// A wiped copy of an item that a later call may free.
    fn copy(item: &CStr) -> Reply {
        read_reply(Zeroizing::new(item.to_bytes().to_vec()))
    }
}

impl Conversation for Call<'_> {
    fn ask(&mut self, prompt: &str, echo: Echo) -> Result<Reply, NoAnswer> {
        crate::panics::point("conversation");
        let style = match echo {
            Echo::On => Style::PromptEchoOn,
            Echo::Off => Style::PromptEchoOff,
        };
        let bytes = converse(self.conv()?, style, prompt, libc::free)?.ok_or(NoAnswer)?;
        Ok(read_reply(bytes))
    }

    fn earlier_password(&mut self) -> Option<Reply> {
        self.pam.get_cached_authtok().ok().flatten().map(Self::copy)
    }

    fn hand_on(&mut self, password: &Secret) {
        if let Ok(text) = CString::new(password.expose()) {
            let _ = self.pam.set_authtok(&text);
            text.into_bytes().zeroize();
        }
    }

    fn user_now(&self) -> Option<Vec<u8>> {
        let user = self.pam.get_cached_user().ok().flatten()?;
        Some(user.to_bytes().to_vec())
    }
}

fn read_reply(bytes: Zeroizing<Vec<u8>>) -> Reply {
    if std::str::from_utf8(&bytes).is_err() {
        return Reply::Binary(bytes.len());
    }
    let mut bytes = bytes;
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Reply::Text(Secret::new(text)),
        Err(error) => {
            let mut bytes = error.into_bytes();
            let length = bytes.len();
            bytes.zeroize();
            Reply::Binary(length)
        }
    }
}

/// Says one message and takes the reply; `None` when the reply has no text.
///
/// The application allocates the reply with malloc and gives it away (pam_conv(3)), so its text
/// is wiped and both parts are released here.
fn converse(
    conv: Conv,
    style: Style,
    text: &str,
    release: unsafe extern "C" fn(*mut c_void),
) -> Result<Option<Zeroizing<Vec<u8>>>, NoAnswer> {
    let callback = conv.callback.ok_or(NoAnswer)?;
    let text = CString::new(text).map_err(|_| NoAnswer)?;
    let message = Message { style: style as c_int, text: text.as_ptr() };
    let mut messages: *const Message = &message;
    let mut responses: *mut Response = ptr::null_mut();
    // SAFETY: the application registered this callback with this data pointer; the one message
    // and both out-pointers live on this stack until it returns.
    let code = unsafe { callback(1, &mut messages, &mut responses, conv.data) };
    // On failure the reply belongs to nobody, whatever the pointer says (pam_conv(3)).
    if code != PAM_SUCCESS {
        return Err(NoAnswer);
    }
    if responses.is_null() {
        return match style {
            Style::Error | Style::Info => Ok(None),
            Style::PromptEchoOff | Style::PromptEchoOn => Err(NoAnswer),
        };
    }
    // SAFETY: on success a non-null reply is an array of one response, now ours.
    let reply = unsafe { (*responses).text };
    let bytes = if reply.is_null() {
        None
    } else {
        // SAFETY: a non-null text is a C string that is ours alone.
        let bytes = unsafe { take_text(reply) };
        // SAFETY: the text was allocated with malloc and nothing refers to it any more.
        unsafe { release(reply.cast()) };
        Some(bytes)
    };
    // SAFETY: the array was allocated with malloc and nothing refers to it any more.
    unsafe { release(responses.cast()) };
    Ok(bytes)
}

/// Copies a C string and wipes the original.
///
/// # Safety
/// `text` must be a C string that nothing else refers to.
unsafe fn take_text(text: *mut c_char) -> Zeroizing<Vec<u8>> {
    // SAFETY: a C string, by contract.
    let length = unsafe { libc::strlen(text) };
    // SAFETY: `length` bytes from `text` belong to the string, and nothing else refers to them.
    let original = unsafe { std::slice::from_raw_parts_mut(text.cast::<u8>(), length) };
    let copy = Zeroizing::new(original.to_vec());
    original.zeroize();
    copy
}

/// Random bytes from the kernel; `None` when it gives none.
pub(crate) fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0u8; N];
    // SAFETY: the buffer has N bytes, and the call writes at most that many.
    let count = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), N, 0) };
    (usize::try_from(count) == Ok(N)).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    thread_local! {
        static RELEASED: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    }

    /// Notes what was released, and whether it had been wiped, then frees it.
    unsafe extern "C" fn note_release(pointer: *mut c_void) {
        // SAFETY: both parts of a reply were allocated here with malloc or strdup.
        let bytes = unsafe {
            std::slice::from_raw_parts(pointer.cast::<u8>(), libc::malloc_usable_size(pointer))
        };
        RELEASED.with_borrow_mut(|seen| seen.push(bytes[..8].to_vec()));
        // SAFETY: as above, and released once.
        unsafe { libc::free(pointer) };
    }

    /// What the test application replies.
    enum Script {
        Text(&'static CStr),
        NullText,
        NullArray,
        Failure,
    }

    unsafe extern "C" fn play(
        _: c_int,
        _: *mut *const Message,
        responses: *mut *mut Response,
        data: *mut c_void,
    ) -> c_int {
        // SAFETY: `data` is the script of the test, `responses` its out-pointer.
        unsafe {
            let text = match &*data.cast::<Script>() {
                Script::Failure => return 19,
                Script::NullArray => return PAM_SUCCESS,
                Script::NullText => ptr::null_mut(),
                Script::Text(text) => libc::strdup(text.as_ptr()),
            };
            let array = libc::calloc(1, size_of::<Response>()).cast::<Response>();
            (*array).text = text;
            *responses = array;
        }
        PAM_SUCCESS
    }

    fn ask(script: &mut Script, style: Style) -> Result<Option<Zeroizing<Vec<u8>>>, NoAnswer> {
        let conv = Conv { callback: Some(play), data: ptr::from_mut(script).cast() };
        converse(conv, style, "Access Token:", note_release)
    }

    #[test]
    fn r06_a_reply_is_wiped_and_both_parts_are_released() {
        let mut script = Script::Text(c"canary-in-a-reply-of-libpam");
        let reply = ask(&mut script, Style::PromptEchoOff).unwrap().unwrap();
        assert_eq!(reply.as_slice(), b"canary-in-a-reply-of-libpam");
        RELEASED.with_borrow(|seen| {
            assert_eq!(seen.len(), 2);
            assert_eq!(seen[0], [0; 8], "the text was released with its content");
        });
    }

    #[test]
    fn a_null_text_is_no_answer_and_its_array_is_released() {
        assert!(ask(&mut Script::NullText, Style::PromptEchoOff).unwrap().is_none());
        RELEASED.with_borrow(|seen| assert_eq!(seen.len(), 1));
    }

    #[test]
    fn a_null_array_is_no_answer_to_a_prompt_and_fine_after_a_message() {
        assert!(ask(&mut Script::NullArray, Style::PromptEchoOn).is_err());
        assert!(ask(&mut Script::NullArray, Style::Error).unwrap().is_none());
    }

    #[test]
    fn a_failing_or_missing_conversation_is_no_answer() {
        assert!(ask(&mut Script::Failure, Style::PromptEchoOff).is_err());
        let conv = Conv { callback: None, data: ptr::null_mut() };
        assert!(converse(conv, Style::Info, "x", note_release).is_err());
    }

    #[test]
    fn text_that_c_can_not_hold_is_not_said() {
        let conv = Conv { callback: Some(play), data: ptr::null_mut() };
        assert!(converse(conv, Style::Info, "a\0b", note_release).is_err());
    }

    #[test]
    fn bytes_that_are_no_text_keep_their_length_only() {
        assert!(matches!(read_reply(Zeroizing::new(vec![0xff; 5])), Reply::Binary(5)));
        let Reply::Text(secret) = read_reply(Zeroizing::new(b"abc".to_vec())) else {
            panic!("text is text")
        };
        assert_eq!(secret.expose(), "abc");
    }

    #[test]
    fn chance_is_not_the_same_twice() {
        assert_ne!(random::<16>().unwrap(), random::<16>().unwrap());
    }
}
