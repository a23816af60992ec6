//! What is found in account files, well-formed or not, and when they are read again.

use super::*;
use proptest::prelude::*;
use tempfile::TempDir;

/// A root directory with these texts as passwd, group and shadow.
fn root(texts: [&[u8]; 3]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let etc = root.path().join("etc");
    std::fs::create_dir(&etc).unwrap();
    for (file, text) in ["passwd", "group", "shadow"].into_iter().zip(texts) {
        std::fs::write(etc.join(file), text).unwrap();
    }
    root
}

fn read(texts: [&[u8]; 3]) -> Snapshot {
    Database::new(root(texts).path()).read().unwrap()
}

fn users(text: &str) -> Arc<Users> {
    read([text.as_bytes(), b"", b""]).users
}

fn groups(text: &str) -> Arc<Groups> {
    read([b"", text.as_bytes(), b""]).groups
}

fn expiries(text: &str) -> Arc<Expiries> {
    read([b"", b"", text.as_bytes()]).expiries
}

#[test]
fn a_malformed_line_hides_no_other_and_keeps_its_name() {
    let users = users(
        "root:x:0:0:root:/root:/bin/sh\nbroken:x:abc\nshort\n\
         jdoe:x:5001:100:sub@iss,,:/home/jdoe:/bin/sh\nlong:x:1:1:::/:/:\n",
    );
    assert_eq!(users.named("jdoe").unwrap().uid, 5001);
    assert_eq!(users.with_full_name("sub@iss").unwrap().name, "jdoe");
    for name in ["broken", "short", "long"] {
        assert!(users.named(name).is_none() && users.is_malformed(name), "{name}");
    }
    assert!(!users.is_malformed("jdoe") && !users.is_malformed("lon"));
}

#[test]
fn the_first_line_of_a_name_counts_and_all_lines_of_a_uid_are_seen_in_order() {
    let users =
        users("b:x:5:7:s@i:/b:/bin/sh\na:x:6:6::/:/bin/sh\na:x:5:5:s@i:/home/a/x:/bin/sh\n");
    assert_eq!(users.named("a").unwrap().uid, 6);
    let sharing: Vec<_> = users.with_uid(5).map(|entry| entry.name).collect();
    assert_eq!(sharing, ["b", "a"]);
    assert_eq!(users.with_full_name("s@i").unwrap().name, "b");
    assert!(users.uses_gid(7) && !users.uses_gid(8));
    assert!(users.others_live_in("/home/a", "b") && !users.others_live_in("/home/a", "a"));
}

#[test]
fn a_last_line_without_its_end_is_an_entry() {
    let seen = read([b"a:x:5:5::/:/bin/sh", b"wlcg:x:2000:a,b", b"a:!:1:0:9:7::12:"]);
    assert_eq!(seen.users.named("a").unwrap().shell, "/bin/sh");
    assert_eq!(seen.groups.of_member("b"), ["wlcg"]);
    assert_eq!(seen.expiries.day("a"), Some(12));
}

#[test]
fn a_line_longer_than_any_buffer_is_read_whole() {
    let gecos = "x".repeat(70_000);
    let members: Vec<String> = (0..20_000).map(|n| format!("member{n}")).collect();
    let passwd = format!("a:x:5:5:{gecos},s@i:/:/bin/sh\nb:x:6:6::/:/bin/sh\n");
    let group = format!("big:x:2000:{}\nnext:x:2001:member7\n", members.join(","));
    let shadow = format!("a:{gecos}:1:0:9:7::12:\nb:!:1:0:9:7::13:\n");
    let seen = read([passwd.as_bytes(), group.as_bytes(), shadow.as_bytes()]);
    assert_eq!(seen.users.named("a").unwrap().gecos.len(), 70_004);
    assert_eq!(seen.users.named("b").unwrap().uid, 6);
    assert_eq!(seen.groups.of_member("member7"), ["big", "next"]);
    assert_eq!(seen.groups.of_member("member19999"), ["big"]);
    assert_eq!((seen.expiries.day("a"), seen.expiries.day("b")), (Some(12), Some(13)));
}

#[test]
fn a_byte_that_is_no_text_hides_no_account() {
    let seen = read([
        b"odd\xff:x:5:5:\xc3:/:/bin/sh\n\xe2\x82\na:x:6:6::/:/bin/sh\n",
        b"g:x:2000:\xff,a\n",
        b"\xff:!\na:\xff:1:0:9:7::12:\n",
    ]);
    assert_eq!(seen.users.named("a").unwrap().uid, 6);
    assert_eq!(seen.users.with_uid(5).count(), 1);
    assert_eq!(seen.groups.of_member("a"), ["g"]);
    assert_eq!(seen.expiries.day("a"), Some(12));
}

#[test]
fn groups_know_their_members_and_members_their_groups() {
    let groups = groups("wlcg:x:2000:a,b\nbad:x:y:\natlas:x:2001:b,,b\nempty:x:2002:,\n");
    assert_eq!(groups.of_member("b"), ["atlas", "wlcg"]);
    assert!(!groups.is_empty("wlcg") && groups.is_empty("empty") && groups.is_empty("none"));
    assert_eq!((groups.gid("bad"), groups.name(2001)), (None, Some("atlas")));
    assert_eq!(groups.largest_gid(&(1000..=60_000)), Some(2002));
}

#[test]
fn of_a_group_that_stands_twice_the_second_line_says_nothing() {
    let groups = groups("wlcg:x:2000:a\nwlcg:x:2001:b\natlas:x:2000:\n");
    assert_eq!((groups.gid("wlcg"), groups.name(2000)), (Some(2000), Some("wlcg")));
    assert_eq!((groups.name(2001), groups.of_member("b").len()), (None, 0));
}

#[test]
fn expiry_is_read_from_the_eighth_field_of_the_first_line() {
    let expiries = expiries(
        "a:!:19000:0:99999:7::1:\nb:!:19000:0:99999:7:::\nc:!\nd:!:::::: 12:\n\
         b:!:19000:0:99999:7::7:\ne:!:::::-1:\n",
    );
    assert_eq!([expiries.day("a"), expiries.day("b"), expiries.day("c")], [Some(1), None, None]);
    assert!(expiries.knows("c") && expiries.knows("e") && !expiries.knows("f"));
}

#[test]
fn a_change_of_the_file_is_seen_and_an_unchanged_file_is_not_read_again() {
    let root = root([b"", b"", b""]);
    let database = Database::new(root.path());
    let before = database.read().unwrap();
    assert!(Arc::ptr_eq(&before.users, &database.read().unwrap().users));
    std::fs::write(root.path().join("etc/passwd"), "a:x:5:5::/:/bin/sh\n").unwrap();
    assert_eq!(database.read().unwrap().users.named("a").unwrap().uid, 5);
}

#[test]
fn a_file_too_large_to_be_read_whole_is_not_read_in_part() {
    let root = root([b"a:x:5:5::/:/bin/sh\n", b"", b"a:!::::::\n"]);
    for file in ["passwd", "shadow"] {
        let path = root.path().join("etc").join(file);
        let before = std::fs::read(&path).unwrap();
        let huge = File::options().write(true).open(&path).unwrap();
        huge.set_len(1 << 30).unwrap();
        let error = Database::new(root.path()).read().unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::FileTooLarge, "{error}");
        std::fs::write(&path, before).unwrap();
    }
}

/// Who is listed, found by reading line by line.
fn listed(group: &str, user: &str) -> Vec<String> {
    let mut seen: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for line in group.split('\n').filter(|line| !line.starts_with(['#', '+', '-'])) {
        let fields: Vec<_> = line.split(':').collect();
        let [name, _, gid, members] = fields[..] else { continue };
        if name.is_empty() || gid.parse::<u32>().is_err() || seen.contains(&name) {
            continue;
        }
        seen.push(name);
        if members.split(',').any(|member| member == user) {
            found.push(name.to_owned());
        }
    }
    found.sort();
    found
}

proptest! {
    #[test]
    fn r45_account_files_of_any_content_are_read_without_a_panic(text in "(\\PC|:|\n){0,300}") {
        let bytes = text.as_bytes();
        let seen = read([bytes, bytes, bytes]);
        let name = text.split(':').next().unwrap();
        let _ = (seen.users.named(name), seen.groups.gid(name), seen.expiries.day(name));
    }

    #[test]
    fn the_indexes_find_what_reading_line_by_line_finds(
        passwd in "([#+abc]{0,2}:x:[0-9]{1,2}:[01]:([ab]{0,2}@o)?(,x)?:/h:/s(:)?\n?){0,12}",
        group in "([-xyz]{0,2}:x:[0-9]{0,2}(:([abc]{0,2},?){0,4})?\n?){0,12}",
    ) {
        let seen = read([passwd.as_bytes(), group.as_bytes(), passwd.as_bytes()]);
        let lines = passwd.split('\n').filter(|line| !line.starts_with(['#', '+', '-']));
        let lines: Vec<Vec<_>> = lines.map(|line| line.split(':').collect()).collect();
        let is_whole = |fields: &&Vec<&str>| fields.len() == 7 && !fields[0].is_empty();
        let whole: Vec<_> = lines.iter().filter(is_whole).collect();
        for name in ["a", "b", "aa", "ab", "bc", "c", "cc", "zz"] {
            let first = whole.iter().find(|fields| fields[0] == name);
            let uid = first.map(|fields| fields[2].parse().unwrap());
            prop_assert_eq!(seen.users.named(name).map(|entry| entry.uid), uid);
            let broken = lines.iter().any(|fields| fields.len() != 7 && fields[0] == name);
            prop_assert_eq!(seen.users.is_malformed(name), broken);
            let known = lines.iter().any(|fields| fields[0] == name);
            prop_assert_eq!(seen.expiries.knows(name), known);
            prop_assert_eq!(seen.groups.of_member(name), listed(&group, name));
            let id = format!("{name}@o");
            let named = whole.iter().find(|fields| fields[4].split(',').next() == Some(&id));
            let found = seen.users.with_full_name(&id).map(|entry| entry.name);
            prop_assert_eq!(found, named.map(|fields| fields[0].to_owned()));
        }
        for uid in 0..100_u32 {
            let names: Vec<_> = seen.users.with_uid(uid).map(|entry| entry.name).collect();
            let same = whole.iter().filter(|fields| fields[2].parse() == Ok(uid));
            prop_assert_eq!(names, same.map(|fields| fields[0].to_owned()).collect::<Vec<_>>());
        }
    }
}
