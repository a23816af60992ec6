//! A configuration with a mistake stops the start and says file, line and cure.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::Result;
use motley_tests::sandbox::{Daemon, Sandbox, built};
use motley_tests::sandbox_test;

const GOOD: &str = "[authorisation.egi]\nop_url = https://op.example\nauthorise_all = yes\n";
const ADAPTER: &str = "[ldf_adapter]\nbackend = local_unix\n";

struct Started {
    code: Option<i32>,
    text: String,
}

fn start(sb: &Sandbox, config: &str, mode: u32) -> Result<Started> {
    let folder = sb.dir().join("etc");
    fs::create_dir_all(&folder)?;
    let (main, adapter) = (folder.join("motley_cue.conf"), folder.join("feudal_adapter.conf"));
    fs::write(&main, config)?;
    fs::write(&adapter, ADAPTER)?;
    fs::set_permissions(&main, Permissions::from_mode(mode))?;
    let output = std::process::Command::new(built("motley-daemon")?)
        .arg("check-config")
        .args([std::ffi::OsStr::new("--config"), main.as_os_str()])
        .args([std::ffi::OsStr::new("--adapter-config"), adapter.as_os_str()])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    Ok(Started { code: output.status.code(), text })
}

sandbox_test! {
    fn a_good_configuration_is_valid(sb) {
        let started = start(sb, GOOD, 0o644)?;
        assert_eq!(started.code, Some(0), "{}", started.text);
        Ok(())
    }
}

sandbox_test! {
    fn r33_each_mistake_is_named_with_file_line_and_cure(sb) {
        let duplicate = format!("{GOOD}[authorisation.again]\nop_url = https://www.op.example/\n");
        let cases = [
            ("unknown option", format!("{GOOD}authorise_al = yes\n"), ":4:", "authorise_all"),
            ("unknown section", format!("{GOOD}[serverr]\nlisten = 127.0.0.1:1\n"), ":4:", "server"),
            ("two sections for one provider", duplicate, ":5:", "op.example"),
            ("swallowed line", format!("{GOOD}  audience = ssh\n"), ":4:", "audience"),
            ("bad boolean", GOOD.replace("yes", "perhaps"), ":3:", "authorise_all"),
            ("not an issuer", GOOD.replace("https", "ftp"), ":2:", "op_url"),
            ("duplicate option", format!("{GOOD}authorise_all = no\n"), ":4:", "authorise_all"),
        ];
        for (what, config, line, word) in cases {
            let started = start(sb, &config, 0o644)?;
            assert_eq!(started.code, Some(78), "{what}: {}", started.text);
            assert!(started.text.contains(&format!("motley_cue.conf{line}")), "{what}: {}", started.text);
            assert!(started.text.contains(word), "{what}: {}", started.text);
        }
        Ok(())
    }
}

sandbox_test! {
    fn r33_a_file_that_others_may_write_is_refused(sb) {
        let started = start(sb, GOOD, 0o666)?;
        assert_eq!(started.code, Some(78), "{}", started.text);
        assert!(started.text.contains("chmod"), "{}", started.text);
        Ok(())
    }
}

sandbox_test! {
    fn a_bad_configuration_stops_the_start_before_anything_listens(sb) {
        let broken = Daemon::with("[server]\nlisten = 127.0.0.1:8080\n[authorisation.egi]\nop_url = nowhere");
        let mut daemon = broken.install(sb)?;
        let status = daemon.launch(sb)?.wait(Duration::from_secs(10))?;
        assert_eq!(status.code(), Some(78));
        let log = daemon.log(sb);
        assert!(log.contains("motley_cue.conf:4: [authorisation.egi] op_url"), "{log}");
        assert!(!log.contains("listening"), "{log}");
        Ok(())
    }
}

sandbox_test! {
    fn the_daemon_refuses_to_run_as_root(sb) {
        let folder = sb.dir().join("etc");
        start(sb, GOOD, 0o644)?;
        let output = std::process::Command::new(built("motley-daemon")?)
            .arg("serve")
            .arg("--config").arg(folder.join("motley_cue.conf"))
            .arg("--adapter-config").arg(folder.join("feudal_adapter.conf"))
            .output()?;
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("root"));
        Ok(())
    }
}
