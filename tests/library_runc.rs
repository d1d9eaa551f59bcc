//! A container of unmodified runc, entered through libnsexec instead of its nsexec.c.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::runtime::compile;
use support::share::share;
use support::{leave_out, succeed};

/// How often the test enters the container; a third of the runs have a terminal, a third a
/// passed file.
const EXECS: u32 = 200;
const TIMEOUT: Duration = Duration::from_secs(20);

/// Debian's runc with libnsexec loaded into it.
struct Runc {
    program: PathBuf,
    etc: PathBuf,
    state: PathBuf,
}

impl Runc {
    /// A mount namespace in which every dynamic program loads libnsexec: LD_PRELOAD does
    /// not reach `runc init`.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c"])
            .arg("mount --bind \"$0\" /etc && exec \"$@\"")
            .arg(&self.etc)
            .arg(&self.program)
            .arg("--root")
            .arg(&self.state)
            .args(arguments)
            .stdin(Stdio::null());
        command
    }
}

struct Container<'a> {
    runc: &'a Runc,
    id: String,
    run: Child,
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let _ = self
            .runc
            .command(&["delete", "--force", &self.id])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let _ = self.run.kill();
        let _ = self.run.wait();
    }
}

fn container<'a>(runc: &'a Runc, bundle: &Path, user_namespace: bool) -> Container<'a> {
    let root = bundle.join("rootfs");
    for directory in ["bin", "proc", "dev", "sys", "tmp", "etc"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    for applet in [
        "sh", "sleep", "cat", "readlink", "test", "tty", "echo", "id",
    ] {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs::write(root.join("witness"), "").unwrap();
    let mut chmod = Command::new("chmod");
    chmod.arg("666").arg(root.join("witness"));
    succeed(chmod);
    let mut spec = Command::new(&runc.program);
    succeed({
        spec.arg("spec").current_dir(bundle);
        spec
    });
    let file = bundle.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/bin/sleep", "1000"]);
    config["root"]["readonly"] = json!(false);
    // Root on the reference machine lacks CAP_SYS_RESOURCE: no limit is raised.
    config["process"]["rlimits"] = json!([]);
    if user_namespace {
        let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 65536 }]);
        config["linux"]["uidMappings"] = map.clone();
        config["linux"]["gidMappings"] = map;
        let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.push(json!({ "type": "user" }));
        let mut chown = Command::new("chown");
        chown.args(["-R", "100000:100000"]).arg(&root);
        succeed(chown);
    }
    fs::write(&file, config.to_string()).unwrap();
    let id = format!("libnsexec-{}-{user_namespace}", std::process::id());
    let bundle = bundle.to_str().unwrap();
    let mut run = runc.command(&["run", "--bundle", bundle, &id]);
    let run = run.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut container = Container {
        runc,
        id,
        run: run.spawn().unwrap(),
    };
    let started = Instant::now();
    loop {
        let state = runc.command(&["state", &container.id]).output().unwrap();
        let state: Value = serde_json::from_slice(&state.stdout).unwrap_or_default();
        if state["status"] == "running" {
            return container;
        }
        let ended = container.run.try_wait().unwrap().is_some();
        if ended || started.elapsed() > TIMEOUT {
            let _ = container.run.kill();
            let mut printed = String::new();
            let mut stderr = container.run.stderr.take().unwrap();
            std::io::Read::read_to_string(&mut stderr, &mut printed).unwrap();
            panic!("runc did not start the container: {printed}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn stock_runc_enters_its_container_through_libnsexec() {
    const NAME: &str = "stock_runc_enters_its_container_through_libnsexec";
    support::needs!(root);
    let found = ["/usr/sbin/runc", "/usr/bin/runc"];
    let Some(program) = found.iter().map(PathBuf::from).find(|path| path.exists()) else {
        leave_out(NAME, "there is no runc");
        return;
    };
    let directory = support::temporary_directory("runc");
    let library = compile("preload.c", &["-shared", "-fPIC", "-Wl,-Bsymbolic"]);
    let etc = directory.join("etc");
    let mut copy = Command::new("cp");
    copy.arg("-a").arg("/etc").arg(&etc);
    succeed(copy);
    fs::write(
        etc.join("ld.so.preload"),
        format!("{}\n", library.display()),
    )
    .unwrap();
    let runc = Runc {
        program,
        etc,
        state: directory.join("state"),
    };
    for user_namespace in [false, true] {
        let bundle = directory.join(format!("bundle-{user_namespace}"));
        fs::create_dir_all(&bundle).unwrap();
        // The container's user needs access to the path.
        let mut chmod = Command::new("chmod");
        chmod.arg("711").arg(&directory).arg(&bundle);
        succeed(chmod);
        let container = container(&runc, &bundle, user_namespace);
        let witness = bundle.join("rootfs/witness");
        fs::write(&witness, "").unwrap();
        let execs = usize::try_from(EXECS / 2).unwrap() / share();
        for exec in 0..execs {
            let (options, script, expected): (&[&str], _, _) = match exec % 3 {
                0 => (&[], "readlink /proc/self/ns/uts; id -u", None),
                1 => (&["--tty"], "tty; test -t 0", Some("/dev/pts/")),
                _ => (&["--preserve-fds", "1"], "cat <&3", Some("passed")),
            };
            let mut arguments = vec!["exec"];
            arguments.extend(options);
            arguments.extend([container.id.as_str(), "sh", "-c", script]);
            let mut command = runc.command(&arguments);
            if exec % 3 == 2 {
                let passed = directory.join("passed");
                fs::write(&passed, "passed").unwrap();
                let file = fs::File::open(&passed).unwrap();
                support::protocol_a::hand_over(&mut command, vec![file.into()]);
            }
            let printed = if exec % 3 == 1 {
                on_a_terminal(command)
            } else {
                succeed(command)
            };
            match expected {
                Some(expected) => assert!(printed.contains(expected), "exec {exec}: {printed:?}"),
                None => {
                    let own = fs::read_link("/proc/self/ns/uts").unwrap();
                    let (uts, id) = printed.trim_end().split_once('\n').unwrap();
                    assert!(
                        uts.starts_with("uts:[") && Path::new(uts) != own,
                        "{printed:?}"
                    );
                    assert_eq!(id, "0");
                }
            }
        }
        let entered = fs::read_to_string(&witness).unwrap();
        let protected = entered.lines().all(|line| line == "libnsexec, protected");
        assert!(protected, "runc's own file is in reach: {entered}");
        let entered = entered.lines().count();
        assert_eq!(entered, execs, "through libnsexec");
        println!("user namespace {user_namespace}: entered {entered} times");
    }
    fs::remove_dir_all(&directory).unwrap();
}

/// The output of a command that requires a terminal.
fn on_a_terminal(mut command: Command) -> String {
    let pty = nix::pty::openpty(None, None).unwrap();
    let slave = || Stdio::from(pty.slave.try_clone().unwrap());
    command.stdin(slave()).stdout(slave()).stderr(slave());
    let mut child = command.spawn().unwrap();
    drop((command, pty.slave));
    let mut printed = Vec::new();
    let mut chunk = [0; 4096];
    // EIO: no process has the other side open any more.
    while let Ok(length @ 1..) = nix::unistd::read(&pty.master, &mut chunk) {
        printed.extend(&chunk[..length]);
    }
    let printed = String::from_utf8_lossy(&printed).into_owned();
    assert!(child.wait().unwrap().success(), "{printed}");
    printed
}
