//! A real directory server (OpenLDAP's slapd) for one test: own files, own ports on the loopback interface.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use tempfile::TempDir;

use crate::op::TestCa;

/// Who may everything; tests look and tamper as this one.
pub const ADMIN: &str = "cn=admin,dc=example";
/// As whom motley binds; may what the documentation asks for.
pub const SERVICE: &str = "cn=motley,dc=example";
/// Password of both.
pub const PASSWORD: &str = "correct horse";
/// Where users are.
pub const USERS: &str = "ou=users,dc=example";
/// Where groups are.
pub const GROUPS: &str = "ou=groups,dc=example";

const SLAPD: &str = "/usr/sbin/slapd";
const START_LIMIT: Duration = Duration::from_secs(20);

/// Collects what a server shall be like.
#[derive(Debug, Default)]
pub struct SlapdBuilder {
    certificate: Option<(String, String)>,
    ppolicy: bool,
    schema: String,
    access: String,
    entries: String,
}

/// A running server; dropping it kills it and removes its files.
#[derive(Debug)]
pub struct Slapd {
    child: Option<Child>,
    program: PathBuf,
    config: PathBuf,
    host: String,
    port: u16,
    tls_port: Option<u16>,
    dir: TempDir,
}

impl SlapdBuilder {
    /// Speaks TLS with a certificate of this authority for these names.
    ///
    /// # Errors
    /// When there can be no certificate.
    pub fn tls(mut self, ca: &TestCa, names: &[&str]) -> Result<Self> {
        self.certificate = Some(ca.issue_pem(names)?);
        Ok(self)
    }

    /// With the overlay ppolicy.
    #[must_use]
    pub fn ppolicy(mut self) -> Self {
        self.ppolicy = true;
        self
    }

    /// More object classes, as lines of slapd.conf.
    #[must_use]
    pub fn schema(mut self, lines: &str) -> Self {
        self.schema.push_str(lines);
        self
    }

    /// Rules that come before those of the documentation.
    #[must_use]
    pub fn access(mut self, lines: &str) -> Self {
        self.access.push_str(lines);
        self
    }

    /// Entries that are there from the beginning, as LDIF.
    #[must_use]
    pub fn entries(mut self, ldif: &str) -> Self {
        self.entries.push('\n');
        self.entries.push_str(ldif);
        self.entries.push('\n');
        self
    }

    /// Loads the entries, starts the server and waits until it answers.
    ///
    /// # Errors
    /// When slapd is missing or does not come up.
    pub fn start(self) -> Result<Slapd> {
        if !Path::new(SLAPD).exists() {
            bail!("there is no {SLAPD}: install slapd and ldap-utils");
        }
        let dir = tempfile::Builder::new().prefix("test-slapd-").tempdir()?;
        fs::create_dir(dir.path().join("db"))?;
        let config = dir.path().join("slapd.conf");
        fs::write(&config, self.render(dir.path())?)?;
        let mut entries = String::from(BASE);
        entries.push_str(&self.entries);
        let file = dir.path().join("entries.ldif");
        fs::write(&file, entries)?;
        let program = program(dir.path())?;
        let mut load = Command::new(&program);
        check(load.args(["-T", "add", "-q", "-f"]).arg(&config).arg("-l").arg(&file).output()?)?;
        if geteuid().is_root() {
            let owner = User::from_name("nobody")?.context("no user nobody")?;
            own(dir.path(), owner.uid.as_raw(), owner.gid.as_raw())?;
        }
        let host = Ipv4Addr::LOCALHOST.to_string();
        let tls_port = self.certificate.is_some().then(free_port).transpose()?;
        let mut slapd =
            Slapd { child: None, program, config, host, port: free_port()?, tls_port, dir };
        slapd.restart()?;
        Ok(slapd)
    }

    fn render(&self, dir: &Path) -> Result<String> {
        let mut text = String::new();
        for schema in ["core", "cosine", "inetorgperson", "nis"] {
            writeln!(text, "include /etc/ldap/schema/{schema}.schema")?;
        }
        let dir_text = dir.display();
        writeln!(text, "{}", self.schema)?;
        writeln!(text, "pidfile {dir_text}/pid\nargsfile {dir_text}/args")?;
        writeln!(text, "modulepath /usr/lib/ldap\nmoduleload back_mdb")?;
        if self.ppolicy {
            writeln!(text, "moduleload ppolicy")?;
        }
        if let Some((certificate, key)) = &self.certificate {
            fs::write(dir.join("server.pem"), certificate)?;
            fs::write(dir.join("server.key"), key)?;
            writeln!(text, "TLSCertificateFile {dir_text}/server.pem")?;
            writeln!(text, "TLSCertificateKeyFile {dir_text}/server.key")?;
        }
        writeln!(text, "database mdb\nsuffix dc=example\nrootdn {ADMIN}\nrootpw \"{PASSWORD}\"")?;
        writeln!(text, "directory {dir_text}/db\nmaxsize 2147483648\nenvflags nosync")?;
        writeln!(text, "index objectClass,uid,cn,uidNumber,gidNumber,gecos,memberUid,mail eq")?;
        writeln!(text, "index description eq")?;
        writeln!(text, "limits dn.exact=\"{SERVICE}\" size.prtotal=unlimited")?;
        writeln!(text, "{}", self.access)?;
        writeln!(text, "{ACCESS}")?;
        if self.ppolicy {
            writeln!(text, "overlay ppolicy")?;
        }
        Ok(text)
    }
}

/// What the documentation gives to the account of the service.
const ACCESS: &str = "\
access to attrs=userPassword by self write by anonymous auth by * none
access to dn.subtree=\"ou=users,dc=example\" attrs=description by dn.exact=\"cn=motley,dc=example\" write by users read
access to dn.subtree=\"ou=users,dc=example\" by dn.exact=\"cn=motley,dc=example\" write by users read
access to dn.subtree=\"ou=groups,dc=example\" by dn.exact=\"cn=motley,dc=example\" write by users read
access to * by users read
";

const BASE: &str = "\
dn: dc=example
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: cn=motley,dc=example
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: motley
userPassword: correct horse

dn: ou=users,dc=example
objectClass: organizationalUnit
ou: users

dn: ou=groups,dc=example
objectClass: organizationalUnit
ou: groups
";

/// Attributes of an entry, each with its values.
pub type Attributes = BTreeMap<String, Vec<String>>;

impl Slapd {
    /// Starts describing one.
    #[must_use]
    pub fn builder() -> SlapdBuilder {
        SlapdBuilder::default()
    }

    /// Whether this machine has what it takes. Says loudly if not; with `REQUIRE_E2E=1` that fails.
    #[must_use]
    pub fn is_there(test: &str) -> bool {
        let there = Path::new(SLAPD).exists() && Path::new("/usr/bin/ldapsearch").exists();
        if !there {
            let required = std::env::var_os("REQUIRE_E2E").is_some_and(|value| value == "1");
            assert!(!required, "REQUIRE_E2E=1, but slapd or ldap-utils is not installed");
            eprintln!("SKIPPED {test}: slapd or ldap-utils is not installed");
        }
        there
    }

    /// Ends the server if it runs, and starts it on the same ports.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        let mut urls = format!("ldap://{}:{}/", self.host, self.port);
        if let Some(port) = self.tls_port {
            write!(urls, " ldaps://{}:{port}/", self.host)?;
        }
        let log = fs::File::create(self.dir.path().join("log"))?;
        let mut command = Command::new(&self.program);
        command.args(["-d", "0", "-h", &urls, "-f"]).arg(&self.config);
        if geteuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let child = self.child.insert(child);
        let address: SocketAddr = format!("{}:{}", self.host, self.port).parse()?;
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = child.try_wait()?;
            if ended.is_some() || begin.elapsed() > START_LIMIT {
                let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
                bail!("slapd does not come up ({ended:?}):\n{log}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Ends the server in good order.
    ///
    /// # Errors
    /// When it can't be ended.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            signal(&child, Signal::SIGCONT)?;
            signal(&child, Signal::SIGTERM)?;
            child.wait()?;
        }
        Ok(())
    }

    /// From now on it accepts connections and answers nothing.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> Result<()> {
        let child = self.child.as_ref().context("slapd does not run")?;
        signal(child, Signal::SIGSTOP)?;
        // The signal is taken a moment later, thread by thread.
        let stat = format!("/proc/{}/stat", child.id());
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(5) {
            if fs::read_to_string(&stat)?.contains(") T ") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("slapd does not stop")
    }

    /// Takes back [`Slapd::freeze`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self) -> Result<()> {
        signal(self.child.as_ref().context("slapd does not run")?, Signal::SIGCONT)
    }

    /// Its address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port for plain connections and StartTLS.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port for TLS, if it speaks that.
    #[must_use]
    pub fn tls_port(&self) -> Option<u16> {
        self.tls_port
    }

    /// All attributes of an entry, operational ones too, read by ldapsearch; `None` if there is none.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn entry(&self, dn: &str) -> Result<Option<Attributes>> {
        let mut command = self.client("ldapsearch");
        command.args(["-LLL", "-o", "ldif-wrap=no", "-s", "base", "-b", dn, "(objectClass=*)"]);
        let output = command.args(["*", "+"]).output()?;
        if output.status.code() == Some(32) {
            return Ok(None);
        }
        let text = check(output)?;
        let mut attributes = Attributes::new();
        for line in text.lines() {
            if let Some((name, value)) = line.split_once(": ") {
                attributes.entry(name.to_owned()).or_default().push(value.to_owned());
            }
        }
        Ok(Some(attributes))
    }

    /// Names of the entries that a filter finds.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn find(&self, base: &str, filter: &str) -> Result<Vec<String>> {
        let mut command = self.client("ldapsearch");
        command.args(["-LLL", "-o", "ldif-wrap=no", "-b", base, filter, "1.1"]);
        let text = check(command.output()?)?;
        Ok(text.lines().filter_map(|line| line.strip_prefix("dn: ").map(str::to_owned)).collect())
    }

    /// Adds or changes entries as the admin; LDIF without `changetype` adds.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn change(&self, ldif: &str) -> Result<()> {
        let mut command = self.client("ldapmodify");
        command.arg("-a").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        child.stdin.take().context("no input")?.write_all(ldif.as_bytes())?;
        check(child.wait_with_output()?).map(drop)
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let url = format!("ldap://{}:{}", self.host, self.port);
        command.args(["-x", "-H", &url, "-D", ADMIN, "-w", PASSWORD]);
        command
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Ubuntu's AppArmor profile lets the program at its usual path read its usual files only.
fn program(dir: &Path) -> Result<PathBuf> {
    if !Path::new("/etc/apparmor.d/usr.sbin.slapd").exists() {
        return Ok(PathBuf::from(SLAPD));
    }
    let copy = dir.join("slapd");
    fs::copy(SLAPD, &copy)?;
    Ok(copy)
}

fn signal(child: &Child, signal: Signal) -> Result<()> {
    Ok(kill(Pid::from_raw(i32::try_from(child.id())?), signal)?)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn own(dir: &Path, uid: u32, gid: u32) -> Result<()> {
    std::os::unix::fs::chown(dir, Some(uid), Some(gid))?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            own(&entry.path(), uid, gid)?;
        } else {
            std::os::unix::fs::chown(entry.path(), Some(uid), Some(gid))?;
        }
    }
    Ok(())
}

fn check(output: Output) -> Result<String> {
    if !output.status.success() {
        bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
