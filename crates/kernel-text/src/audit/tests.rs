use super::*;

fn fact(kind: u16, fields: &str) -> Result<Option<Fact>, Fault<AuditErrorKind>> {
    let text = format!("audit(1795480809.615:21118): {fields}");
    let found = record(kind, text.as_bytes())?;
    Ok(found.map(|record| {
        assert_eq!(record.serial, 21118);
        record.fact
    }))
}

fn denied(blockers: &[&str], object: &[u8]) -> Result<Option<Fact>, Fault<AuditErrorKind>> {
    Ok(Some(Fact::Denied {
        domain: 0x1_e2d4_2b06,
        blockers: blockers.iter().map(|b| (*b).to_owned()).collect(),
        object: object.to_vec(),
    }))
}

/// As Linux 6.18 wrote them.
#[test]
fn records_of_landlock_are_read() {
    let read = |fields| fact(1423, fields);
    assert_eq!(
        read(r#"domain=1e2d42b06 blockers=fs.read_file path="/etc/passwd" dev="vda" ino=737"#),
        denied(&["fs.read_file"], b"/etc/passwd")
    );
    assert_eq!(
        read(r#"domain=1e2d42b06 blockers=fs.write_file path=2F746D702F6120620163 dev="vda""#),
        denied(&["fs.write_file"], b"/tmp/a b\x01c")
    );
    assert_eq!(
        read("domain=1e2d42b06 blockers=net.connect_tcp daddr=127.0.0.1 dest=81"),
        denied(&["net.connect_tcp"], b"port 81")
    );
    assert_eq!(
        read("domain=1e2d42b06 blockers=net.bind_tcp saddr=::1 src=8081"),
        denied(&["net.bind_tcp"], b"port 8081")
    );
    assert_eq!(
        read(r#"domain=1e2d42b06 blockers=fs.make_reg,fs.refer path="/usr" dev="vda" ino=1"#),
        denied(&["fs.make_reg", "fs.refer"], b"/usr")
    );
    assert_eq!(
        read(r#"domain=1e2d42b06 blockers=scope.signal opid=1 ocomm="init""#),
        denied(&["scope.signal"], b"process 1 (init)")
    );
    assert_eq!(
        read(r#"domain=1e2d42b06 blockers=fs.change_topology dev="proc" ino=1"#),
        denied(&["fs.change_topology"], b"device proc")
    );
    assert_eq!(
        fact(
            1424,
            r#"domain=1e2d42b06 status=allocated mode=enforcing pid=29688 uid=0 exe="/usr/bin/a" comm="a""#
        ),
        Ok(Some(Fact::Domain {
            domain: 0x1_e2d4_2b06,
            pid: 29688,
            exe: b"/usr/bin/a".to_vec()
        }))
    );
    let gone = "domain=1e2d42b06 status=deallocated denials=10";
    assert_eq!(fact(1424, gone), Ok(None));
}

#[test]
fn records_of_calls_are_read() {
    let syscall = "arch=c000003e syscall=257 success=no exit=-13 a0=ffffff9c a1=7fccb6f06ed0 \
                   a2=80000 a3=0 items=0 ppid=29646 pid=29688 auid=4294967295 uid=0";
    assert_eq!(
        fact(1300, syscall),
        Ok(Some(Fact::Syscall {
            pid: 29688,
            arch: 0xc000_003e,
            number: 257
        }))
    );
    let seccomp = r#"auid=4294967295 uid=0 pid=29689 comm="p syscall=1" exe="/a" sig=31 arch=c000003e syscall=170 compat=0 ip=0x7fccb751c737 code=0x80000000"#;
    assert_eq!(
        fact(1326, seccomp),
        Ok(Some(Fact::Seccomp {
            pid: 29689,
            arch: 0xc000_003e,
            number: 170,
            action: 0x8000_0000
        }))
    );
    assert_eq!(fact(1320, ""), Ok(Some(Fact::End)));
    assert_eq!(fact(1327, "proctitle=41"), Ok(None));
}

#[test]
fn a_record_without_a_required_field_is_an_error() {
    let reason = |kind, text: &str| record(kind, text.as_bytes()).expect_err(text).reason;
    for text in [
        "",
        "audit(",
        "audit(1.2): a=1",
        "audit(1.2:x): a=1",
        "audit(1.2:3):",
    ] {
        assert_eq!(reason(1320, text), AuditErrorKind::Event, "{text:?}");
    }
    let fields = |kind, fields: &str| reason(kind, &format!("audit(1.2:3): {fields}"));
    assert_eq!(fields(1423, "blockers=x"), AuditErrorKind::Field("domain"));
    assert_eq!(
        fields(1423, "domain=1 blockers=a,,b"),
        AuditErrorKind::Field("blockers")
    );
    assert_eq!(
        fields(1423, "domain=1 blockers=\"a"),
        AuditErrorKind::Field("blockers")
    );
    assert_eq!(fields(1424, "domain=1 pid=x"), AuditErrorKind::Field("pid"));
    assert_eq!(
        fields(1300, "pid=1 arch=1"),
        AuditErrorKind::Field("syscall")
    );
    assert_eq!(fields(1300, "pid=4294967296"), AuditErrorKind::Field("pid"));
    assert_eq!(
        fields(1326, "pid=1 arch=1 syscall=1 code=80"),
        AuditErrorKind::Field("code")
    );
}

#[test]
fn datagrams_split_into_their_messages() {
    let mut datagram = request(1423, 0, b"abc");
    datagram.push(0);
    datagram.extend(get_status());
    datagram.extend(set_enabled(1));
    let read = messages(&datagram).expect("three messages");
    let kinds: Vec<u16> = read.iter().map(|message| message.kind).collect();
    assert_eq!(kinds, [1423, GET, SET]);
    assert_eq!(read[0].payload, b"abc");
    assert_eq!(
        (read[1].payload, enabled(read[2].payload)),
        (&[][..], Some(1))
    );
    for cut in [1, 4, 15] {
        let fault = messages(&datagram[..cut]).expect_err("cut");
        assert_eq!(fault.reason, AuditErrorKind::Length);
    }
    let mut short = get_status();
    short[0] = 15;
    assert!(messages(&short).is_err());
    assert_eq!(messages(&[]), Ok(Vec::new()));
    assert_eq!(answer(&(-libc::EPERM).to_ne_bytes()), Some(libc::EPERM));
    assert_eq!((answer(&[0; 20]), answer(&[1])), (Some(0), None));
    assert_eq!(enabled(&[0; 7]), None);
}
