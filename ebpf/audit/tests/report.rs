//! Pages of real runs, in a real browser if there is one.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use support::{leave_out, object};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nsexec-audit");
/// 15 bytes, the longest name that a process can have.
const NAME: &str = "<img onerror=x>";
const ARGUMENT: &str =
    "</script><img src=x onerror=\"document.documentElement.dataset.hurt='yes'\">";

/// A process's namespaces are joined and left again; a join is refused for lack of
/// privilege; a join of a file that is no namespace is refused; a process has a name that
/// contains HTML.
const SCENARIO: &str = r#"
exec 9</proc/self/ns/net
unshare --uts --net sh -c 'echo; exec sleep 1000' >"$1/up" & sleeper=$!
trap 'kill $sleeper' EXIT
tries=0
until [ -s "$1/up" ]; do
    tries=$((tries + 1))
    [ $tries -lt 1000 ] || exit 1
    sleep 0.02
done
nsenter --net=/proc/$sleeper/ns/net --uts=/proc/$sleeper/ns/uts \
    sh -c 'nsenter --net=/proc/self/fd/9 true'
setpriv --reuid 65534 --clear-groups nsenter --net=/proc/self/fd/9 true
nsenter --net=/etc/passwd true
cp "$(command -v unshare)" "$1/$2"
"$1/$2" --uts true "$3"
"#;

/// A directory that is removed when the test ends.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let name = format!("nsexec-report-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).into_os_string().into_string().unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs the scenario; the lines are in `events`.
fn run(directory: &Directory) -> Vec<Value> {
    let events = directory.file("events");
    let directory = directory.file("");
    let status = Command::new(PROGRAM)
        .args(support::backend_option())
        .args(["--format", "json", "--lineage", "--output", &events, "--"])
        .args(["sh", "-c", SCENARIO, "sh"])
        .args([directory.trim_end_matches('/'), NAME, ARGUMENT])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let text = fs::read_to_string(events).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn report(words: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(PROGRAM)
        .arg("report")
        .args(words)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn of_class(lines: &[Value], class: &str) -> usize {
    lines.iter().filter(|line| line["class"] == class).count()
}

/// A section of a page, by its id.
#[track_caller]
fn section<'a>(page: &'a str, id: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("<section id=\"{id}\">")).unwrap();
    rest.split_once("</section>").unwrap().0
}

#[test]
fn a_page_shows_a_run() {
    if object("a_page_shows_a_run").is_none() {
        return;
    }
    let directory = Directory::new("page");
    let lines = run(&directory);
    let (events, to) = (directory.file("events"), directory.file("page.html"));
    let (code, page, error) = report(&[&events]);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert_eq!(
        page.contains("banner good"),
        !lines
            .iter()
            .any(|line| ["lost", "missed", "ns_gap"].contains(&line["kind"].as_str().unwrap()))
    );
    let host = lines[0]["host"].as_object().unwrap();
    if host.is_empty() {
        assert!(page.contains("The host is unknown."));
    } else {
        assert!(section(&page, "crossings").contains("out of the host"));
        assert!(section(&page, "crossings").contains("into the host"));
        assert!(section(&page, "alerts").contains("T1611"));
    }
    let refused = section(&page, "refused");
    assert!(
        refused.contains("EPERM") && refused.contains("EINVAL"),
        "{refused}"
    );
    let drawn = lines
        .iter()
        .filter(|line| line["kind"] != "start" && line["kind"] != "health")
        .count();
    assert_eq!(page.matches("<tr id=\"e").count(), drawn);
    assert!(page.contains("&lt;img onerror=x&gt;") && !page.contains("<img"));

    assert_eq!(report(&[&events, "--output", &to]).0, Some(0));
    assert_eq!(fs::read_to_string(&to).unwrap(), page);
    let mode = fs::metadata(&to).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let (code, page, error) = report(&[&events, "--output", &events]);
    assert_eq!((code, page.as_str()), (Some(125), ""));
    assert!(error.contains("would be overwritten"), "{error}");
    assert_eq!(
        fs::read_to_string(&events).unwrap().lines().count(),
        lines.len()
    );
}

#[test]
fn an_invalid_line_is_reported_with_its_place() {
    let directory = Directory::new("refused");
    let events = directory.file("events");
    for (text, output) in [
        ("{\"kind\":\"more\"}\n", "events:1: unknown kind more"),
        ("\n", "events:1: not a line of --format json"),
        ("", "events: there is no line"),
    ] {
        fs::write(&events, text).unwrap();
        let to = directory.file("page.html");
        let (code, page, error) = report(&[&events, "--output", &to]);
        assert_eq!((code, page.as_str()), (Some(125), ""));
        assert!(error.contains(output), "{error}");
        assert!(!Path::new(&to).exists());
    }
    let none = directory.file("none");
    assert!(report(&[&none]).2.contains("none: No such file"));
}

/// The browser's result for a page: its document, and its console messages.
struct Shown {
    document: String,
    complaints: Vec<String>,
}

impl Shown {
    /// An attribute of the root element.
    fn attribute(&self, name: &str) -> Option<&str> {
        let (_, root) = self.document.split_once("<html ").unwrap();
        let (root, _) = root.split_once('>').unwrap();
        let (_, value) = root.split_once(&format!("data-{name}=\""))?;
        Some(value.split_once('"').unwrap().0)
    }
}

fn show(directory: &Directory, file: &str, hash: &str) -> Shown {
    let profile = directory.file("profile");
    let output = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--enable-logging=stderr",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={profile}"))
        .arg(format!("file://{}{hash}", directory.file(file)))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    fs::remove_dir_all(profile).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let complaints = errors.lines().filter(|line| line.contains("CONSOLE"));
    Shown {
        document: String::from_utf8(output.stdout).unwrap(),
        complaints: complaints.map(str::to_owned).collect(),
    }
}

#[test]
fn a_browser_runs_the_script_of_the_page_and_no_other() {
    let test = "a_browser_runs_the_script_of_the_page_and_no_other";
    if object(test).is_none() {
        return;
    }
    if Command::new("chromium").arg("--version").output().is_err() {
        leave_out(test, "there is no chromium");
        return;
    }
    let directory = Directory::new("browser");
    let lines = run(&directory);
    let (events, to) = (directory.file("events"), directory.file("page.html"));
    assert_eq!(report(&[&events, "--output", &to]).0, Some(0));
    let drawn = lines
        .iter()
        .filter(|line| line["kind"] != "start" && line["kind"] != "health")
        .count();
    let by_name = lines.iter().filter(|line| {
        let comm = &line["actor"]["comm"];
        comm == NAME && line["class"] == "create"
    });
    let named = "#process=%3CIMG%20onerror%3Dx%3E&class=create&type=uts";
    assert_eq!(by_name.count(), 1);
    for (hash, shown) in [
        ("", drawn),
        ("#events", drawn),
        ("#class=denied", of_class(&lines, "denied")),
        (
            "#class=denied,join_other",
            of_class(&lines, "denied") + of_class(&lines, "join_other"),
        ),
        (named, 1),
        ("#process=%3Cimg%20src%3Dx%20onerror%3Dx%3E", 0),
    ] {
        let page = show(&directory, "page.html", hash);
        assert_eq!(page.complaints, [""; 0], "{hash}");
        assert_eq!(page.attribute("ready"), Some("yes"));
        assert_eq!(page.attribute("rows"), Some(drawn.to_string().as_str()));
        let found = page.attribute("shown");
        assert_eq!(found, Some(shown.to_string().as_str()), "{hash}");
        let rows = page.document.split("<tr id=\"e").skip(1);
        let seen = rows.filter(|row| !row.split_once('>').unwrap().0.contains("hidden"));
        assert_eq!(seen.count(), shown, "{hash}");
        assert_eq!(page.attribute("hurt"), None);
        assert!(!page.document.contains("<img"));
    }

    // If a text left its place or another script were inserted, the content security policy
    // would still prevent its execution.
    let text = fs::read_to_string(&to).unwrap();
    let out = text.replacen("<main>", &format!("<main>{ARGUMENT}"), 1);
    fs::write(directory.file("out.html"), out).unwrap();
    let page = show(&directory, "out.html", "");
    assert!(page.document.contains("<img"));
    assert!(!page.complaints.is_empty());
    assert_eq!(page.attribute("hurt"), None);
    let changed = text.replacen("<script>", "<script> ", 1);
    fs::write(directory.file("changed.html"), changed).unwrap();
    let page = show(&directory, "changed.html", "");
    assert!(!page.complaints.is_empty());
    assert_eq!(page.attribute("ready"), None);
}
