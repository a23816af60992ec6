//! What people see of the service in a real browser: the page at the root, the privacy statement and
//! the documentation of the interface.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use motley_tests::browser::{self, Browser, View};
use motley_tests::sandbox::{self, Daemon, Sandbox, check_run, test_name};
use serde_json::Value;

/// Where pictures of pages stay, for people to look at.
const ARTEFACTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/artefacts/pages");
const LIGHT: View = View { width: 1100, scheme: "light" };
const DARK: View = View { width: 1100, scheme: "dark" };
const NARROW: View = View { width: 320, scheme: "light" };

/// Declares a test whose body is given the sandbox and a browser.
macro_rules! browser_test {
    (fn $name:ident($sb:ident, $browser:ident) $body:block) => {
        #[test]
        fn $name() {
            let test = test_name(module_path!(), stringify!($name));
            let result = with_browser(&test, |$sb: &Sandbox, mut $browser: Browser| $body);
            if let Err(error) = result {
                panic!("{error:#}");
            }
        }
    };
}

/// Without a browser the test is skipped and says so, unless `REQUIRE_E2E=1` demands it.
fn with_browser(test: &str, body: impl FnOnce(&Sandbox, Browser) -> Result<()>) -> Result<()> {
    if let Some(why) = browser::unavailable() {
        let required = std::env::var_os("REQUIRE_E2E").is_some_and(|value| value == "1");
        ensure!(!required, "REQUIRE_E2E=1, but there is no browser: {why}");
        eprintln!("SKIPPED {test}: there is no browser: {why}");
        return Ok(());
    }
    sandbox::run(test, |sb| body(sb, Browser::start(&sb.dir().join("browser"))?))
}

const CONFIG: &str = "enable_docs = yes
[privacy]
privacy_contact = privacy@site.example
privacy_file = /etc/motley_cue/privacystatement.md

[authorisation.helmholtz]
op_url = https://login.helmholtz.example/oauth2
scopes = [openid, profile, email, eduperson_entitlement]
audience = ssh.site.example
authorised_vos = [
    urn:geant:helmholtz.example:group:Physics:Cluster#login.helmholtz.example,
    urn:geant:helmholtz.example:group:Operators:role=manager#login.helmholtz.example ]

[authorisation.university]
op_url = https://idp.university.example/realms/main
scopes = [openid, email]
authorise_all = yes

[authorisation.partner]
op_url = https://partner.example
authorised_users = [4711]
";

const ADAPTER: &str = "[login_info]
description = Login node of the physics cluster
login_help = See https://docs.site.example, or write `mccli ssh {ssh_host}`.
ssh_host = ssh.site.example
contact = help@site.example
";

const STATEMENT: &str = "# Privacy

We keep your *subject* and **issuer**. Ask [us](mailto:{{privacy_contact}}) at {{privacy_contact}}.

| what | how long |
|---|---|
| log lines | 30 days |

<script>document.title = 'acted'</script>
<img src=x onerror=\"document.title = 'acted'\">
[click](javascript:alert(1))
";

fn daemon(sb: &Sandbox) -> Result<Daemon> {
    fs::create_dir_all("/etc/ssh")?;
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let file = format!("/etc/ssh/ssh_host_{kind}_key");
        for old in [file.clone(), format!("{file}.pub")] {
            let _ = fs::remove_file(old);
        }
        check_run("ssh-keygen", &["-q", "-N", "", "-t", kind, "-C", "admin@inside", "-f", &file])?;
    }
    fs::create_dir_all("/etc/motley_cue")?;
    fs::write("/etc/motley_cue/privacystatement.md", STATEMENT)?;
    Daemon::with_defaults().section(CONFIG).adapter(ADAPTER).start(sb)
}

fn artefact(name: &str) -> Result<PathBuf> {
    fs::create_dir_all(ARTEFACTS)?;
    Ok(PathBuf::from(ARTEFACTS).join(name))
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Every text whose colour stands out too little from what is behind it (WCAG 2.2 §1.4.3).
const TOO_FAINT: &str = r#"(() => {
  const parse = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    if (!text) continue;
    const element = walker.currentNode.parentElement;
    const [a, b] = [parse(getComputedStyle(element).color), behind(element)].map(light);
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) found.push(`${contrast.toFixed(2)} ${text}`);
  }
  return found;
})()"#;

/// Checks what holds for each page of ours in each view.
fn check_view(browser: &mut Browser, view: View) -> Result<()> {
    let faint = browser.value(TOO_FAINT)?;
    ensure!(texts(&faint).is_empty(), "{view:?}: hard to read: {faint}");
    let width = browser.value("document.documentElement.scrollWidth")?;
    ensure!(width.as_u64() <= Some(u64::from(view.width)), "{view:?}: {width} pixels wide");
    ensure!(browser.complaints().is_empty(), "{view:?}: {:?}", browser.complaints());
    Ok(())
}

browser_test! {
    fn the_page_can_be_read_in_light_and_dark_and_on_a_narrow_screen(sb, browser) {
        let daemon = daemon(sb)?;
        for (view, name) in [(LIGHT, "light"), (DARK, "dark"), (NARROW, "narrow")] {
            browser.view(view)?;
            for (path, page) in [("/", "welcome"), ("/privacy", "privacy")] {
                browser.open(&format!("{}{path}", daemon.url()))?;
                browser.picture(&artefact(&format!("{page}-{name}.png"))?)?;
                check_view(&mut browser, view)?;
            }
        }
        browser.open(&format!("{}/", daemon.url()))?;
        let dark = browser.value("matchMedia('(prefers-color-scheme: dark)').matches")?;
        assert_eq!(dark, false);
        Ok(())
    }
}

browser_test! {
    fn the_page_is_built_so_that_every_reader_finds_the_way(sb, browser) {
        let daemon = daemon(sb)?;
        browser.open(&format!("{}/", daemon.url()))?;
        assert_eq!(browser.value("document.documentElement.lang")?, "en");
        assert_eq!(browser.value("document.title")?, "Log in to ssh.site.example");
        let one_each = "['h1', 'main', 'footer', 'nav'].map((n) => document.querySelectorAll(n).length).join()";
        assert_eq!(browser.value(one_each)?, "1,1,1,1");
        let levels = browser.value(
            "[...document.querySelectorAll('h1,h2,h3')].map((h) => h.tagName[1]).join('')")?;
        let levels = levels.as_str().context("no headings")?.as_bytes().to_vec();
        assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
        let headings = browser.value("[...document.querySelectorAll('h2')].map((h) => h.textContent)")?;
        assert_eq!(
            texts(&headings),
            ["Who can log in", "How to log in", "Is it the right host?", "If you are refused"]
        );
        let keys = browser.value(
            "[...document.querySelectorAll('td code')].map((c) => c.textContent)")?;
        let shown = check_run("ssh-keygen", &["-lf", "/etc/ssh/ssh_host_ed25519_key.pub"])?;
        let shown = shown.split(' ').nth(1).context("no fingerprint")?;
        assert!(texts(&keys).contains(&shown) && texts(&keys).len() == 3, "{keys} {shown}");
        let inside = browser.value("document.documentElement.outerHTML.includes('admin@inside')")?;
        assert_eq!(inside, false, "the comment of a key is nobody's business");
        let links = browser.value(
            "[...document.querySelectorAll('a')].map((a) => a.getAttribute('href'))")?;
        assert_eq!(
            texts(&links),
            [
                "#main", "https://docs.site.example", "mailto:help@site.example", "privacy", "info",
                "docs", "redoc",
            ]
        );
        for link in ["privacy", "info", "docs", "redoc"] {
            let reply = daemon.rest()?.get(&format!("/{link}"), None)?;
            assert_eq!(reply.status, 200, "{link}");
        }
        Ok(())
    }
}

browser_test! {
    fn whoever_uses_the_keyboard_sees_where_he_is(sb, browser) {
        let daemon = daemon(sb)?;
        browser.view(LIGHT)?;
        browser.open(&format!("{}/", daemon.url()))?;
        browser.press("Tab")?;
        assert_eq!(browser.value("document.activeElement.textContent")?, "Skip to content");
        let place = browser.value("document.activeElement.getBoundingClientRect().left >= 0")?;
        assert_eq!(place, true, "the hidden link shows when it has the focus");
        let outline = "getComputedStyle(document.activeElement).outlineStyle + ' ' + \
                       getComputedStyle(document.activeElement).outlineWidth";
        for _ in 0..5 {
            assert_eq!(browser.value(outline)?, "solid 3px");
            browser.press("Tab")?;
        }
        Ok(())
    }
}

browser_test! {
    fn r31_hostile_texts_in_the_configuration_do_nothing_in_a_browser(sb, browser) {
        let hostile = "<script>document.title = 'acted'</script><img src=/x onerror=\"document.title = 'acted'\">\
                       <style>*{display:none}</style>' onmouseover='acted";
        let adapter = format!(
            "[login_info]\ndescription = {hostile}\nlogin_help = {hostile} `{hostile}`\n\
             ssh_host = {hostile}\ncontact = {hostile}\n"
        );
        let _other = daemon(sb)?;
        drop(_other);
        let daemon = Daemon::with_defaults().section(CONFIG).adapter(&adapter).start(sb)?;
        browser.open(&format!("{}/", daemon.url()))?;
        let title = browser.value("document.title")?;
        assert!(title.as_str().is_some_and(|title| title.starts_with("Log in to <script>")), "{title}");
        let foreign = "document.querySelectorAll('script, img, main style, [onerror], [onmouseover]').length";
        assert_eq!(browser.value(foreign)?, 0);
        let lead = browser.value("document.querySelector('.lead').textContent")?;
        assert_eq!(lead, hostile, "it is shown as it is");
        assert_eq!(browser.requests().len(), 1, "{:?}", browser.requests());
        browser.open(&format!("{}/privacy", daemon.url()))?;
        assert_eq!(browser.value("document.title")?, "motley-cue privacy policy");
        assert_eq!(browser.value("document.querySelectorAll('script, img').length")?, 0);
        let links = browser.value("[...document.querySelectorAll('main a')].map((a) => a.href)")?;
        assert_eq!(texts(&links), ["mailto:privacy@site.example"]);
        assert_eq!(browser.requests().len(), 1, "{:?}", browser.requests());
        Ok(())
    }
}

/// All paths of the document with their methods, as `GET /api/info`.
fn operations(daemon: &Daemon) -> Result<BTreeSet<String>> {
    let reply = daemon.rest()?.get("/openapi.json", None)?;
    fs::write(artefact("openapi.json")?, &reply.text)?;
    let document = reply.json();
    let paths = document["paths"].as_object().context("no paths")?;
    let all = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, _)| format!("{} {path}", method.to_uppercase()))
    });
    Ok(all.collect())
}

/// The page asked its own server only, and nothing failed or was forbidden but `forbidden`.
fn check_at_home(browser: &mut Browser, daemon: &Daemon, forbidden: &[&str]) -> Result<()> {
    let own = format!("{}/", daemon.url());
    let requests = browser.requests();
    let away = |url: &&String| {
        !url.starts_with(&own) && !url.starts_with("data:") && !url.starts_with("blob:")
    };
    let away: Vec<&String> = requests.iter().filter(away).collect();
    ensure!(away.is_empty(), "asked elsewhere: {away:?}");
    ensure!(requests.iter().any(|url| url.ends_with("/openapi.json")), "{requests:?}");
    let complaints = browser.complaints();
    let is_wanted = |text: &&String| !forbidden.iter().any(|wanted| text.contains(wanted));
    let unwanted: Vec<&String> = complaints.iter().filter(is_wanted).collect();
    ensure!(unwanted.is_empty(), "{unwanted:?}");
    Ok(())
}

browser_test! {
    fn swagger_ui_shows_every_operation_and_asks_nobody_else(sb, browser) {
        let daemon = daemon(sb)?;
        let expected = operations(&daemon)?;
        browser.view(LIGHT)?;
        browser.open(&format!("{}/docs", daemon.url()))?;
        assert_eq!(browser.value("document.title")?, "motley_cue - Swagger UI");
        let count = "document.querySelectorAll('.opblock').length";
        browser.wait_for(&format!("{count} === {}", expected.len()))?;
        let shown = browser.value(
            "[...document.querySelectorAll('.opblock-summary')].map((b) => \
             b.querySelector('.opblock-summary-method').textContent + ' ' + \
             b.querySelector('[data-path]').dataset.path)")?;
        let shown: BTreeSet<String> = texts(&shown).into_iter().map(str::to_owned).collect();
        assert_eq!(shown, expected);
        browser.value("document.querySelector('.opblock-summary-control').click()")?;
        browser.wait_for("document.querySelector('.opblock-body .responses-table') !== null")?;
        browser.picture(&artefact("swagger-ui.png")?)?;
        check_at_home(&mut browser, &daemon, &[])
    }
}

browser_test! {
    fn redoc_shows_every_operation_and_asks_nobody_else(sb, browser) {
        let daemon = daemon(sb)?;
        let expected = operations(&daemon)?;
        browser.view(LIGHT)?;
        browser.open(&format!("{}/redoc", daemon.url()))?;
        assert_eq!(browser.value("document.title")?, "motley_cue - ReDoc");
        let count = "document.querySelectorAll('[id*=\"/operation/\"]').length";
        browser.wait_for(&format!("{count} >= {}", expected.len()))?;
        let text = browser.value("document.body.textContent")?;
        let text = text.as_str().context("no text")?;
        for operation in &expected {
            let (_, path) = operation.split_once(' ').context("no path")?;
            assert!(text.contains(path), "{path}");
        }
        browser.glance(&artefact("redoc.png")?)?;
        // Its advertisement has a picture that lies elsewhere, which the policy forbids.
        check_at_home(&mut browser, &daemon, &["https://cdn.redoc.ly/redoc/logo-mini.svg"])
    }
}
