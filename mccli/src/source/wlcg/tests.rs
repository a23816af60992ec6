//! The four steps, and what is not taken.

use super::*;
use std::os::unix::fs::symlink;

const TOKEN: &str = "header.payload.signature";

struct Home {
    folder: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
    euid: u32,
}

impl Home {
    fn new() -> Self {
        let euid = geteuid().as_raw();
        Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new(), euid }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file that only the user can read.
    fn file(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self
    }

    fn named(self, name: &str) -> Self {
        let path = self.path(name).display().to_string();
        self.with("BEARER_TOKEN_FILE", &path)
    }

    fn runtime_folder(self) -> Self {
        let path = self.path("run").display().to_string();
        self.with("XDG_RUNTIME_DIR", &path)
    }

    fn usual(&self) -> String {
        format!("bt_u{}", self.euid)
    }

    fn find(&self) -> Result<Option<String>, String> {
        let lookup = |name: &str| {
            let found = self.variables.iter().find(|(known, _)| *known == name)?;
            Some(found.1.clone()).filter(|value| !value.is_empty())
        };
        let found = Discovery::with(&lookup, self.euid, self.folder.path()).find()?;
        Ok(found.map(|found| found.token.expose().to_owned()))
    }
}

fn found(text: &str) -> Result<Option<String>, String> {
    Ok(Some(text.to_owned()))
}

#[test]
fn the_four_places_are_looked_at_in_order_and_an_empty_one_is_passed_by() {
    let usual = Home::new().usual();
    let in_run = format!("run/{usual}");
    let all = |home: Home| {
        home.named("file").file("file", "second").file(&in_run, "third").file(&usual, "fourth")
    };
    assert_eq!(
        all(Home::new().with("BEARER_TOKEN", "first")).runtime_folder().find(),
        found("first")
    );
    for empty in ["", " \t\r\n\x0b\x0c"] {
        let home = all(Home::new().with("BEARER_TOKEN", empty)).runtime_folder();
        assert_eq!(home.find(), found("second"), "{empty:?}");
        assert_eq!(home.file("file", empty).find(), found("third"), "{empty:?}");
    }
    assert_eq!(
        Home::new().named("missing").runtime_folder().file(&in_run, "third").find(),
        found("third")
    );
    let without_run = Home::new().file(&in_run, "third").file(&usual, "fourth");
    assert_eq!(without_run.find(), found("fourth"));
    let with_run = Home::new().runtime_folder().file(&usual, "fourth");
    assert_eq!(with_run.find(), Ok(None), "where XDG_RUNTIME_DIR is set, /tmp is not looked at");
    assert_eq!(Home::new().find(), Ok(None));
}

#[test]
fn white_space_around_a_token_is_dropped_and_what_is_no_token_stops_the_search() {
    for (text, expected) in [
        (format!("\x0b\n {TOKEN} \r\n"), Ok(TOKEN)),
        ("abc==".to_owned(), Ok("abc==")),
        ("two words".to_owned(), Err("byte 4 can't be part of a token")),
        (" a=b".to_owned(), Err("byte 4 can't be part of a token")),
        ("=".to_owned(), Err("byte 1 can't be part of a token")),
        ("tök".to_owned(), Err("byte 2 can't be part of a token")),
    ] {
        let home = Home::new().with("BEARER_TOKEN", &text).named("file").file("file", "second");
        match (expected, home.find()) {
            (Ok(token), result) => assert_eq!(result, found(token), "{text:?}"),
            (Err(said), Err(why)) => assert!(why.contains(said), "{text:?}: {why}"),
            (Err(_), Ok(_)) => panic!("{text:?} was taken"),
        }
    }
}

#[test]
fn what_dirac_writes_is_read_too() {
    let usual = Home::new().usual();
    let json = |text: &str| Home::new().file(&usual, text).find();
    assert_eq!(
        json(&format!("{{\"access_token\": \"{TOKEN}\", \"refresh_token\": \"r\"}}")),
        found(TOKEN)
    );
    assert_eq!(json("{\"access_token\": \" \"}"), Ok(None));
    assert!(json("{\"error\": 1}").unwrap_err().contains("JSON without an access_token"));
}

#[test]
fn r38_a_file_that_others_could_have_read_or_made_is_refused() {
    let usual = Home::new().usual();
    for mode in [0o640, 0o604, 0o660, 0o644] {
        let home = Home::new().file(&usual, TOKEN);
        fs::set_permissions(home.path(&usual), fs::Permissions::from_mode(mode)).unwrap();
        assert!(home.find().unwrap_err().contains("run: chmod 600"), "{mode:o}");
    }
    let mut foreign = Home::new();
    foreign.euid += 1;
    let usual_of_foreign = foreign.usual();
    let foreign = foreign.file(&usual_of_foreign, TOKEN);
    assert!(foreign.find().unwrap_err().contains("it belongs to uid"));

    let home = Home::new().file("mine", TOKEN);
    symlink(home.path("mine"), home.path(&usual)).unwrap();
    assert_eq!(home.find(), found(TOKEN), "an own link is the user's choice");
    if geteuid().is_root() {
        std::os::unix::fs::lchown(home.path(&usual), Some(12_345), None).unwrap();
        assert!(home.find().unwrap_err().contains("it belongs to uid 12345"));
    }

    let home = Home::new();
    fs::create_dir(home.path(&usual)).unwrap();
    assert!(home.find().is_err());
    let home = Home::new();
    nix::unistd::mkfifo(&home.path(&usual), nix::sys::stat::Mode::from_bits_truncate(0o600))
        .unwrap();
    assert_eq!(home.find(), Err(format!("{}: not a file", home.path(&usual).display())));
}
