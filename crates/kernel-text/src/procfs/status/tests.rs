use super::*;

use proptest::prelude::*;

const SHELL: &str = "Name:\tsh\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t7\nPid:\t7\n\
    PPid:\t1\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t4294967294\nFDSize:\t256\n\
    Groups:\t4 20 \nVmPeak:\t    2556 kB\nThreads:\t3\nSigQ:\t0/15427\n\
    CapInh:\t0000000000000000\nCapPrm:\t0000000000000021\nCapEff:\t0000000000000001\n\
    CapBnd:\t000001fffeffffff\nCapAmb:\t8000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n\
    Seccomp_filters:\t12\nSpeculation_Store_Bypass:\tvulnerable\n";

fn refused(text: &str) -> (StatusErrorKind, String) {
    let fault = parse(text.as_bytes()).expect_err("it should be refused");
    let place = text.get(fault.span).expect("inside the text");
    (fault.reason, place.to_owned())
}

fn print(status: &Status) -> String {
    let ids = |ids: &Ids| {
        let Ids {
            real,
            effective,
            saved,
            file_system,
        } = ids;
        format!("{real}\t{effective}\t{saved}\t{file_system}")
    };
    let set = |set: CapabilitySet| format!("{:016x}", set.bits());
    let groups: Vec<String> = status.groups.iter().map(u32::to_string).collect();
    let seccomp = match status.seccomp {
        Seccomp::Disabled => 0,
        Seccomp::Strict => 1,
        Seccomp::Filter => 2,
    };
    format!(
        "Uid:\t{}\nGid:\t{}\nGroups:\t{}\nThreads:\t{}\nCapInh:\t{}\nCapPrm:\t{}\nCapEff:\t{}\n\
         CapBnd:\t{}\nCapAmb:\t{}\nNoNewPrivs:\t{}\nSeccomp:\t{seccomp}\n\
         Seccomp_filters:\t{}\n",
        ids(&status.uids),
        ids(&status.gids),
        groups.join(" "),
        status.threads,
        set(status.inheritable),
        set(status.permitted),
        set(status.effective),
        set(status.bounding),
        set(status.ambient),
        u8::from(status.no_new_privs),
        status.seccomp_filters,
    )
}

#[test]
fn a_file_of_the_kernel_is_understood() {
    let ids = |[real, effective, saved, file_system]: [u32; 4]| Ids {
        real,
        effective,
        saved,
        file_system,
    };
    assert_eq!(
        parse(SHELL.as_bytes()),
        Ok(Status {
            uids: ids([1, 2, 3, 4]),
            gids: ids([5, 6, 7, 4_294_967_294]),
            groups: vec![4, 20],
            threads: 3,
            inheritable: CapabilitySet::EMPTY,
            permitted: CapabilitySet::from_bits(0x21),
            effective: CapabilitySet::from_bits(1),
            bounding: CapabilitySet::from_bits(0x1ff_feff_ffff),
            ambient: CapabilitySet::from_bits(1 << 63),
            no_new_privs: true,
            seccomp: Seccomp::Filter,
            seccomp_filters: 12,
        })
    );
    let own = std::fs::read("/proc/self/status").expect("procfs");
    let own = parse(&own).expect("a file of the kernel");
    assert!(own.threads >= 1);
}

#[test]
fn every_required_line_must_occur_once() {
    for key in Key::ALL {
        let line = |line: &&str| line.starts_with(&format!("{}:", key.name()));
        let lines = || SHELL.split_inclusive('\n');
        let mine: String = lines().filter(line).collect();
        assert!(!mine.is_empty());
        let others: String = lines().filter(|text| !line(text)).collect();
        assert_eq!(
            refused(&others),
            (StatusErrorKind::Missing(key), others.clone())
        );
        let twice = format!("{SHELL}{mine}");
        assert_eq!(
            refused(&twice),
            (
                StatusErrorKind::Repeated(key),
                mine.trim_end_matches('\n').to_owned()
            )
        );
    }
}

#[test]
fn every_invalid_value_is_an_error() {
    for (right, wrong, key) in [
        ("Uid:\t1\t2\t3\t4", "Uid:\t1\t2\t3", Key::Uid),
        ("Uid:\t1\t2\t3\t4", "Uid:\t1\t2\t3\t4\t5", Key::Uid),
        ("Uid:\t1\t2\t3\t4", "Uid:\t1\t2\t3\t-1", Key::Uid),
        ("Uid:\t1\t2\t3\t4", "Uid:\t01\t2\t3\t4", Key::Uid),
        ("Uid:\t1\t2\t3\t4", "Uid:1\t2\t3\t4", Key::Uid),
        ("4294967294", "4294967296", Key::Gid),
        ("Groups:\t4 20 ", "Groups:\t4  20 ", Key::Groups),
        ("Groups:\t4 20 ", "Groups:\t4 20\t", Key::Groups),
        ("Threads:\t3", "Threads:\t", Key::Threads),
        ("0000000000000000", "000000000000000", Key::CapInh),
        ("0000000000000000", "00000000000000000", Key::CapInh),
        ("0000000000000021", "000000000000002A", Key::CapPrm),
        (
            "CapEff:\t0000000000000001",
            "CapEff:\t+000000000000001",
            Key::CapEff,
        ),
        ("CapBnd:\t0", "CapBnd:\tx", Key::CapBnd),
        ("CapAmb:\t8", "CapAmb:\t 8", Key::CapAmb),
        ("NoNewPrivs:\t1", "NoNewPrivs:\t2", Key::NoNewPrivs),
        ("Seccomp:\t2", "Seccomp:\t3", Key::Seccomp),
        ("filters:\t12", "filters:\t12 ", Key::SeccompFilters),
    ] {
        let text = SHELL.replacen(right, wrong, 1);
        assert_ne!(text, SHELL);
        assert_eq!(refused(&text).0, StatusErrorKind::Value(key), "{wrong:?}");
    }
    let (_, place) = refused(&SHELL.replace("Threads:\t3", "Threads:\t-3"));
    assert_eq!(place, "\t-3");
}

#[test]
fn the_file_must_be_complete_and_bounded() {
    assert_eq!(refused(""), (StatusErrorKind::Unfinished, String::new()));
    assert_eq!(refused(SHELL.trim_end()).0, StatusErrorKind::Unfinished);
    let groups = "4 ".repeat((MAX_BYTES - SHELL.len()) / 2);
    let text = SHELL.replace("Groups:\t", &format!("Groups:\t{groups}"));
    let most = format!("{}{text}", "x".repeat(MAX_BYTES - text.len()));
    assert_eq!(most.len(), MAX_BYTES);
    assert!(parse(most.as_bytes()).is_ok());
    assert_eq!(
        refused(&format!("x{most}")).0,
        StatusErrorKind::TooLong(MAX_BYTES + 1)
    );
}

proptest! {
    #[test]
    fn a_parsed_status_prints_and_parses_to_the_same(
        line in 0_usize..22, value in "\t[0-9a-f]{16}|\t[0-9]{1,4}|\t[0-9]\t[0-9]\t[0-9]\t[0-9]|[ -~\t]{0,6}"
    ) {
        let changed = SHELL.split_inclusive('\n').enumerate().map(|(at, text)| {
            match text.split_once(':') {
                Some((key, _)) if at == line => format!("{key}:{value}\n"),
                _ => text.to_owned(),
            }
        });
        let text: String = changed.collect();
        match parse(text.as_bytes()) {
            Ok(status) => prop_assert_eq!(parse(print(&status).as_bytes()), Ok(status)),
            Err(fault) => prop_assert!(text.get(fault.span).is_some()),
        }
    }
}
