//! The caller's terminal, which the program shares.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::Attack;
use crate::arm::{
    ADMIN, Arm, DEFAULT, Fault, Host, Outcome, STRICT, Tool, broken, hostile, install,
};
use crate::running::wait;
use crate::support::Target;
use crate::support::session::Session;

pub(crate) const ATTACKS: &[Attack] = &[
    Attack {
        name: "tiocsti",
        tries: "type a command into the caller's terminal",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: |tool| type_in(tool, "0x5412"),
        quick: true,
    },
    Attack {
        name: "tiocsti-upper-half",
        tries: "the same, with a bit above the 32 that the kernel looks at",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: |tool| type_in(tool, "0x100005412"),
        quick: true,
    },
    Attack {
        name: "tioclinux",
        tries: "control the caller's console with TIOCLINUX",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: |tool| console(tool, "0x541c"),
        quick: true,
    },
    Attack {
        name: "tioclinux-upper-half",
        tries: "the same, with a bit above the 32",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: |tool| console(tool, "0xff0000000000541c"),
        quick: true,
    },
    Attack {
        name: "terminal-stolen",
        tries: "take the terminal from the caller's session",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT],
        run: |tool| in_session(tool, &["steal"]).map(|(seen, _)| seen),
        quick: true,
    },
    Attack {
        name: "hang-up",
        tries: "end the caller's session by vhangup(2)",
        control: Tool::Nsenter,
        ways: &[DEFAULT, STRICT],
        run: hang_up,
        quick: true,
    },
];

/// Runs `hostile WORDS` in a target, from an interactive shell, and returns its output.
fn in_session(tool: Tool, words: &[&str]) -> Result<(Outcome, Session), Fault> {
    let host = Host::new();
    let target = Target::new();
    install(&target, "hostile");
    let answer = host.path("answer");
    let mut session = Session::start();
    let quoted: Vec<String> = words.iter().map(|word| format!("$'{word}'")).collect();
    session.type_in(&format!(
        "{} -t {} -a -- /bin/hostile {} > {answer}\n",
        tool.words().join(" "),
        target.pid(),
        quoted.join(" ")
    ));
    let line = || {
        let text = fs::read_to_string(Path::new(&answer)).ok()?;
        text.ends_with('\n').then_some(text)
    };
    let Some(line) = wait(Duration::from_secs(10), line) else {
        return broken("no answer");
    };
    let seen = match line.trim().split_once(' ') {
        Some(("harm", how)) => Outcome::Harm(how.to_owned()),
        Some(("denied", why)) => Outcome::Blocked(why.to_owned()),
        _ => return broken(line),
    };
    Ok((seen, session))
}

/// The shell executes the injected input, which creates a file on the host.
fn type_in(tool: Tool, request: &str) -> Arm {
    let host = Host::new();
    let marker = host.path("marker");
    let (seen, mut session) =
        in_session(tool, &["type", request, &format!("echo x > {marker}\\n")])?;
    session.type_in("echo en''d\n");
    session.expect("end");
    let written = Path::new(&marker).exists();
    match seen {
        Outcome::Harm(_) if written => Ok(Outcome::Harm("the shell executed it".to_owned())),
        Outcome::Blocked(_) if written => broken("the marker was written"),
        Outcome::Harm(_) => broken("it was typed, and not executed"),
        blocked => Ok(blocked),
    }
}

fn console(tool: Tool, request: &str) -> Arm {
    if !Path::new("/sys/class/tty/tty1").exists() {
        return Err(Fault::LeftOut(
            "the kernel has no virtual consoles".to_owned(),
        ));
    }
    let target = Target::with_script("mknod /dev/console1 c 4 1; chmod 666 /dev/console1");
    hostile(
        tool,
        &target,
        &["-a"],
        &["console", request, "/dev/console1"],
    )
}

fn hang_up(tool: Tool) -> Arm {
    let (seen, mut session) = in_session(tool, &["hang-up"])?;
    let ended = || session.shell.try_wait().ok()?;
    match seen {
        Outcome::Harm(_) => match wait(Duration::from_secs(5), ended) {
            Some(status) => Ok(Outcome::Harm(format!(
                "the caller's shell ended ({status})"
            ))),
            None => broken("the terminal hung up, and the shell lives"),
        },
        blocked => Ok(blocked),
    }
}
