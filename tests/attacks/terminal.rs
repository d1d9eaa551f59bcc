//! The caller's terminal, which the program shares.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::Attack;
use crate::arm::{ADMIN, Arm, DEFAULT, Fault, Host, STRICT, Seen, Way, broken, hostile, install};
use crate::running::wait;
use crate::support::Target;
use crate::support::session::Session;

pub(crate) const ATTACKS: &[Attack] = &[
    Attack {
        name: "tiocsti",
        tries: "type a command into the caller's terminal",
        control: Way::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: |way| type_in(way, "0x5412"),
        quick: true,
    },
    Attack {
        name: "tiocsti-upper-half",
        tries: "the same, with a bit above the 32 that the kernel looks at",
        control: Way::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: |way| type_in(way, "0x100005412"),
        quick: true,
    },
    Attack {
        name: "tioclinux",
        tries: "work the caller's console, by TIOCLINUX",
        control: Way::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: |way| console(way, "0x541c"),
        quick: true,
    },
    Attack {
        name: "tioclinux-upper-half",
        tries: "the same, with a bit above the 32",
        control: Way::Nsenter,
        ways: &[DEFAULT, STRICT, ADMIN],
        run: |way| console(way, "0xff0000000000541c"),
        quick: true,
    },
    Attack {
        name: "terminal-stolen",
        tries: "take the terminal from the caller's session",
        control: Way::Nsenter,
        ways: &[DEFAULT, STRICT],
        run: |way| in_session(way, &["steal"]).map(|(seen, _)| seen),
        quick: true,
    },
    Attack {
        name: "hang-up",
        tries: "end the caller's session by vhangup(2)",
        control: Way::Nsenter,
        ways: &[DEFAULT, STRICT],
        run: hang_up,
        quick: true,
    },
];

/// `hostile WORDS` in a target, from an interactive shell: what it answers.
fn in_session(way: Way, words: &[&str]) -> Result<(Seen, Session), Fault> {
    let host = Host::new();
    let target = Target::new();
    install(&target, "hostile");
    let answer = host.path("answer");
    let mut session = Session::new();
    let quoted: Vec<String> = words.iter().map(|word| format!("$'{word}'")).collect();
    session.type_in(&format!(
        "{} -t {} -a -- /bin/hostile {} > {answer}\n",
        way.words().join(" "),
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
        Some(("harm", how)) => Seen::Harm(how.to_owned()),
        Some(("denied", why)) => Seen::Blocked(why.to_owned()),
        _ => return broken(line),
    };
    Ok((seen, session))
}

/// The shell executes what was typed: a file of the host's shows it.
fn type_in(way: Way, request: &str) -> Arm {
    let host = Host::new();
    let marker = host.path("marker");
    let (seen, mut session) =
        in_session(way, &["type", request, &format!("echo x > {marker}\\n")])?;
    session.type_in("echo en''d\n");
    session.expect("end");
    let written = Path::new(&marker).exists();
    match seen {
        Seen::Harm(_) if written => Ok(Seen::Harm("the shell executed it".to_owned())),
        Seen::Blocked(_) if written => broken("the marker was written"),
        Seen::Harm(_) => broken("it was typed, and not executed"),
        blocked => Ok(blocked),
    }
}

fn console(way: Way, request: &str) -> Arm {
    if !Path::new("/sys/class/tty/tty1").exists() {
        return Err(Fault::LeftOut(
            "the kernel has no virtual consoles".to_owned(),
        ));
    }
    let target = Target::with_script("mknod /dev/console1 c 4 1; chmod 666 /dev/console1");
    hostile(
        way,
        &target,
        &["-a"],
        &["console", request, "/dev/console1"],
    )
}

fn hang_up(way: Way) -> Arm {
    let (seen, mut session) = in_session(way, &["hang-up"])?;
    let ended = || session.shell.try_wait().ok()?;
    match seen {
        Seen::Harm(_) => match wait(Duration::from_secs(5), ended) {
            Some(status) => Ok(Seen::Harm(format!("the caller's shell ended ({status})"))),
            None => broken("the terminal hung up, and the shell lives"),
        },
        blocked => Ok(blocked),
    }
}
