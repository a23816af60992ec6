//! The application's side of libpam: a transaction with a scripted conversation.

#![allow(unsafe_code)]

use std::{
    collections::VecDeque,
    ffi::{CStr, CString, c_char, c_int, c_void},
    os::unix::ffi::OsStrExt,
    path::Path,
    ptr,
};

pub(crate) const SUCCESS: i32 = 0;
pub(crate) const SYSTEM_ERR: i32 = 4;
pub(crate) const PERM_DENIED: i32 = 6;
pub(crate) const AUTH_ERR: i32 = 7;
pub(crate) const CRED_INSUFFICIENT: i32 = 8;
pub(crate) const AUTHINFO_UNAVAIL: i32 = 9;
pub(crate) const USER_UNKNOWN: i32 = 10;
pub(crate) const MAXTRIES: i32 = 11;
pub(crate) const ACCT_EXPIRED: i32 = 13;
pub(crate) const CONV_ERR: i32 = 19;
pub(crate) const ABORT: i32 = 26;

const PAM_USER: c_int = 2;
const PAM_TTY: c_int = 3;
const PAM_RHOST: c_int = 4;
const PAM_AUTHTOK: c_int = 6;

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    code: c_int,
}

#[repr(C)]
struct Conv {
    callback:
        unsafe extern "C" fn(c_int, *mut *const Message, *mut *mut Response, *mut c_void) -> c_int,
    data: *mut c_void,
}

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_start_confdir(
        service: *const c_char,
        user: *const c_char,
        conv: *const Conv,
        confdir: *const c_char,
        handle: *mut *mut c_void,
    ) -> c_int;
    fn pam_end(handle: *mut c_void, status: c_int) -> c_int;
    fn pam_authenticate(handle: *mut c_void, flags: c_int) -> c_int;
    fn pam_acct_mgmt(handle: *mut c_void, flags: c_int) -> c_int;
    fn pam_setcred(handle: *mut c_void, flags: c_int) -> c_int;
    fn pam_open_session(handle: *mut c_void, flags: c_int) -> c_int;
    fn pam_close_session(handle: *mut c_void, flags: c_int) -> c_int;
    fn pam_set_item(handle: *mut c_void, kind: c_int, item: *const c_void) -> c_int;
    fn pam_get_item(handle: *mut c_void, kind: c_int, item: *mut *const c_void) -> c_int;
}

/// Something that the application was told to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) style: i32,
    pub(crate) text: String,
}

impl Seen {
    /// True for a prompt, false for a message.
    pub(crate) fn is_prompt(&self) -> bool {
        matches!(self.style, 1 | 2)
    }
}

/// How the application behaves.
struct App {
    handle: *mut c_void,
    answers: VecDeque<Vec<u8>>,
    seen: Vec<Seen>,
    /// Sets `PAM_USER` while it is asked.
    renames_to: Option<CString>,
    /// Reports success without a reply.
    gives_null: bool,
}

/// One PAM transaction.
pub(crate) struct Transaction {
    app: Box<App>,
    // libpam copies the structure, but not what it points to.
    status: c_int,
}

unsafe extern "C" fn converse(
    count: c_int,
    messages: *mut *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    // SAFETY: `data` is the `App` of the transaction; libpam's module passes one valid message
    // and an out-pointer; the reply is allocated with malloc, as pam_conv(3) wants.
    unsafe {
        assert_eq!(count, 1);
        let app = &mut *data.cast::<App>();
        let message = &**messages;
        let text = CStr::from_ptr(message.text).to_string_lossy().into_owned();
        let seen = Seen { style: message.style, text };
        let asked = seen.is_prompt();
        app.seen.push(seen);
        if app.gives_null {
            return SUCCESS;
        }
        let mut reply = ptr::null_mut();
        if asked {
            if let Some(name) = &app.renames_to {
                pam_set_item(app.handle, PAM_USER, name.as_ptr().cast());
            }
            let Some(answer) = app.answers.pop_front() else { return CONV_ERR };
            reply = libc::strdup(CString::new(answer).unwrap().as_ptr());
        }
        let array = libc::calloc(1, size_of::<Response>()).cast::<Response>();
        (*array).text = reply;
        *responses = array;
        SUCCESS
    }
}

impl Transaction {
    /// Starts one for service `sshd` in that folder of services.
    pub(crate) fn start(confdir: &Path, user: &str, answers: &[&str]) -> Self {
        let mut app = Box::new(App {
            handle: ptr::null_mut(),
            answers: answers.iter().map(|it| it.as_bytes().to_vec()).collect(),
            seen: Vec::new(),
            renames_to: None,
            gives_null: false,
        });
        let confdir = CString::new(confdir.as_os_str().as_bytes()).unwrap();
        let user = CString::new(user).unwrap();
        let conv = Conv { callback: converse, data: ptr::from_mut(&mut *app).cast() };
        let mut handle = ptr::null_mut();
        // SAFETY: all strings outlive the call, libpam copies `conv`, and `app` stays boxed at
        // its address until `pam_end`.
        let code = unsafe {
            pam_start_confdir(c"sshd".as_ptr(), user.as_ptr(), &conv, confdir.as_ptr(), &mut handle)
        };
        assert_eq!(code, SUCCESS);
        app.handle = handle;
        Self { app, status: SUCCESS }
    }

    fn call(&mut self, hook: unsafe extern "C" fn(*mut c_void, c_int) -> c_int, flags: i32) -> i32 {
        // SAFETY: the handle is open until drop.
        self.status = unsafe { hook(self.app.handle, flags) };
        self.status
    }

    pub(crate) fn authenticate(&mut self) -> i32 {
        self.call(pam_authenticate, 0)
    }

    pub(crate) fn check_account(&mut self) -> i32 {
        self.call(pam_acct_mgmt, 0)
    }

    pub(crate) fn set_credentials(&mut self) -> i32 {
        self.call(pam_setcred, 2)
    }

    pub(crate) fn open_session(&mut self) -> i32 {
        self.call(pam_open_session, 0)
    }

    pub(crate) fn close_session(&mut self) -> i32 {
        self.call(pam_close_session, 0)
    }

    /// What the user saw so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.app.seen.clone()
    }

    /// The application will set `PAM_USER` to this while it is asked.
    pub(crate) fn rename_while_asked(&mut self, name: &str) {
        self.app.renames_to = Some(CString::new(name).unwrap());
    }

    /// The application will report success without any reply.
    pub(crate) fn reply_with_null(&mut self) {
        self.app.gives_null = true;
    }

    /// Answers with bytes that need not be text.
    pub(crate) fn answer_with(&mut self, bytes: &[u8]) {
        self.app.answers.push_back(bytes.to_vec());
    }

    fn set(&mut self, kind: c_int, text: &str) {
        let text = CString::new(text).unwrap();
        // SAFETY: the handle is open, and libpam copies the text.
        let code = unsafe { pam_set_item(self.app.handle, kind, text.as_ptr().cast()) };
        assert_eq!(code, SUCCESS);
    }

    pub(crate) fn set_rhost(&mut self, text: &str) {
        self.set(PAM_RHOST, text);
    }

    pub(crate) fn set_tty(&mut self, text: &str) {
        self.set(PAM_TTY, text);
    }

    /// `PAM_USER` as the application sees it.
    pub(crate) fn user(&self) -> String {
        let mut item = ptr::null();
        // SAFETY: the handle is open, and the item is a C string that libpam owns.
        unsafe {
            assert_eq!(pam_get_item(self.app.handle, PAM_USER, &mut item), SUCCESS);
            CStr::from_ptr(item.cast()).to_string_lossy().into_owned()
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // SAFETY: the handle is open and not used afterwards.
        unsafe { pam_end(self.app.handle, self.status) };
    }
}

/// Makes libc open the system log anew.
pub(crate) fn close_log() {
    // SAFETY: no other thread of a test logs now.
    unsafe { libc::closelog() };
}

/// Gives up root for the calling thread only, not for the process.
pub(crate) fn become_user(uid: u32) {
    // SAFETY: the raw system call changes the calling thread and touches no memory.
    let code = unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) };
    assert_eq!(code, 0);
}
