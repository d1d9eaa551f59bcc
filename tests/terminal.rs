//! ^C, ^Z and fg in an interactive shell, as under nsenter(1).

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use nsexec_test_support as support;

use std::time::{Duration, Instant};

use support::session::Session;
use support::{NSEXEC, Target};

/// The two tools, which have to behave alike.
fn ways(target: &Target) -> [String; 2] {
    let pid = target.pid();
    [
        format!("nsenter -t {pid} -m -u -i -n -p -C"),
        format!("{NSEXEC} -t {pid} -m -u -i -n -p -C --"),
    ]
}

#[test]
fn a_program_is_stopped_continued_and_interrupted() {
    support::needs!(root);
    let target = Target::new();
    for way in ways(&target) {
        let mut session = Session::start();
        session.type_in(&format!(
            "{way} /bin/sh -c 'echo be''gun; exec sleep 1000'\n"
        ));
        session.expect("begun");
        session.type_in("\x1a");
        session.expect("Stopped");
        session.type_in("jobs; echo job''s=$?\n");
        session.expect("jobs=0");
        session.type_in("fg; echo sta''tus=$?\n");
        session.expect("sleep 1000");
        std::thread::sleep(Duration::from_millis(200));
        session.type_in("\x03");
        // bash discards the rest of a line whose program was ended by SIGINT.
        session.type_in("\necho af''ter=$?\n");
        session.expect("after=130");
    }
}

#[test]
fn a_program_that_handles_an_interrupt_goes_on() {
    support::needs!(root);
    let target = Target::new();
    let pid = target.pid();
    let mut session = Session::start();
    // nsenter(1) differs: ^C ends its own process.
    let script = "trap 'echo cau''ght; exit 7' INT; echo be''gun; while :; do sleep 0.05; done";
    session.type_in(&format!(
        "{NSEXEC} -t {pid} -a -- /bin/sh -c \"{script}\"\n"
    ));
    session.expect("begun");
    session.type_in("\x03");
    session.expect("caught");
    session.type_in("\necho sta''tus=$?\n");
    session.expect("status=7");
}

#[test]
fn an_interactive_shell_has_job_control() {
    support::needs!(root);
    let target = Target::new();
    for way in ways(&target) {
        let mut session = Session::start();
        session.type_in(&format!("{way} /bin/sh -i\n"));
        session.type_in("hostname | tr a-z A-Z\n");
        session.expect("TARGET");
        session.type_in("sleep 1000\n");
        std::thread::sleep(Duration::from_millis(300));
        session.type_in("\x1a");
        session.expect("Stopped");
        session.type_in("fg\n");
        std::thread::sleep(Duration::from_millis(300));
        session.type_in("\x03");
        session.type_in("\necho insi''de=$?\n");
        session.expect("inside=");
        session.type_in("exit 9\n");
        session.type_in("echo out''side=$?\n");
        session.expect("outside=9");
    }
}

#[test]
fn a_signal_to_the_job_arrives_once_and_one_to_the_helper_arrives() {
    support::needs!(root);
    let target = Target::new();
    let pid = target.pid();
    // timeout(1) signals its child, and then its own process group: once the program
    // runs, which takes longer on a slow machine.
    let begin = Instant::now();
    let mut one = target.nsexec(["-u", "--", "perl", "-e", "1"]);
    assert!(one.status().unwrap().success());
    let halves = u32::try_from(begin.elapsed().as_millis() / 100)
        .unwrap()
        .clamp(1, 20);
    let counts = format!(
        "$| = 1; $SIG{{INT}} = sub {{ $n++ }}; \
         select(undef, undef, undef, 0.05) for 1..{}; print \"count=$n.\\n\"",
        30 * halves
    );
    let mut session = Session::start();
    session.type_in(&format!(
        "timeout -s INT {} {NSEXEC} -t {pid} -u -- perl -e '{counts}'\n",
        0.5 * f64::from(halves)
    ));
    session.expect("count=");
    session.expect("1.");
    // A script signals only the helper, from the same process group.
    session.type_in(&format!(
        "bash -c '{NSEXEC} -t {pid} -u -- sleep 1000 & sleep 0.5; kill $!; wait $!; echo sta\"\"tus=$?'\n"
    ));
    session.expect("status=143");
}

#[test]
fn tiocsti_is_refused() {
    support::needs!(root);
    let target = Target::new();
    let number = if cfg!(target_arch = "x86_64") { 16 } else { 29 };
    let pid = target.pid();
    // With and without a bit above the 32 bits that the kernel reads.
    for request in ["0x5412", "0x100005412"] {
        let type_in = format!(
            "perl -e '$c = \"#\"; $! = 0; syscall({number}, 0, {request}, $c); printf \"errno %d.\\n\", $!'"
        );
        for (way, answer) in [("nsenter", "errno 0."), (NSEXEC, "errno 1.")] {
            let mut session = Session::start();
            session.type_in(&format!("{way} -t {pid} -u -- {type_in}\n"));
            session.expect(answer);
        }
    }
}
