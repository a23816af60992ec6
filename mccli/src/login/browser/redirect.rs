//! A page of ours that leads the browser to the provider: command lines are read by everybody.

use crate::{files, folders};
use reqwest::Url;
use std::{fs, io, path::PathBuf};

/// A folder with the page, which only the user can enter; gone when dropped.
pub(super) struct Redirect {
    folder: PathBuf,
}

impl Redirect {
    /// Writes the page for a link, in the runtime directory where there is one.
    pub(super) fn to(link: &str) -> io::Result<Self> {
        let base = folders::runtime().unwrap_or_else(folders::state);
        Self::below(base, link)
    }

    fn below(base: PathBuf, link: &str) -> io::Result<Self> {
        let redirect =
            Self { folder: base.join(format!("mccli-login.{:016x}", rand::random::<u64>())) };
        files::private_folder(&redirect.folder)?;
        files::replace(&redirect.page(), text(link).as_bytes(), 0o600)?;
        Ok(redirect)
    }

    fn page(&self) -> PathBuf {
        self.folder.join("login.html")
    }

    /// What the browser opens; nothing in it is of use to others.
    pub(super) fn url(&self) -> Option<String> {
        Url::from_file_path(self.page()).ok().map(String::from)
    }
}

impl Drop for Redirect {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn text(link: &str) -> String {
    let link = link
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;");
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>mccli</title>\
         <meta name=\"referrer\" content=\"no-referrer\">\
         <meta http-equiv=\"refresh\" content=\"0;url={link}\">\
         <p><a href=\"{link}\">To the login</a></p></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_browsers_command_line_holds_neither_state_nor_nonce_and_nobody_else_reads_the_page() {
        let home = tempfile::tempdir().unwrap();
        let link = "https://op.example/auth?state=our-state&nonce=our-nonce&x=\"><script>";
        let redirect = Redirect::below(home.path().to_owned(), link).unwrap();
        let url = redirect.url().unwrap();
        assert!(url.starts_with("file:///") && url.ends_with("/login.html"), "{url}");
        assert!(!url.contains("our-"), "{url}");
        let page = Url::parse(&url).unwrap().to_file_path().unwrap();
        let mode =
            |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&page), mode(page.parent().unwrap())), (0o600, 0o700));
        let text = fs::read_to_string(&page).unwrap();
        assert!(text.contains("url=https://op.example/auth?state=our-state&amp;nonce=our-nonce"));
        assert!(!text.contains("<script"), "{text}");
        drop(redirect);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
