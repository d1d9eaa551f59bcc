use super::*;

#[test]
fn identities_are_read_as_they_are_written() {
    let process = ProcessId {
        tgid: 7,
        start_ns: 70,
    };
    assert_eq!(process.to_string(), "7.70");
    assert_eq!("7.70".parse(), Ok(process));
    let file = FileId {
        device: 254 << 20 | 3,
        inode: 9,
    };
    assert_eq!(file.to_string(), "254:3:9");
    assert_eq!("254:3:9".parse(), Ok(file));
    let capabilities = Capabilities(0x1ff_ffef_ffff);
    assert_eq!(capabilities.to_string(), "1ffffefffff");
    assert_eq!("1ffffefffff".parse(), Ok(capabilities));
}

#[test]
fn invalid_ids_are_errors() {
    for wrong in ["", "7", "7.", ".7", "+7.1", "7.1.1", "7.x", "4294967296.1"] {
        assert_eq!(wrong.parse::<ProcessId>(), Err(()), "{wrong}");
    }
    for wrong in ["", "1:2", "1:2:3:4", "4096:0:1", "0:1048576:1", "1:2:-3"] {
        assert_eq!(wrong.parse::<FileId>(), Err(()), "{wrong}");
    }
    for wrong in ["", "0x1", "g", "10000000000000000"] {
        assert_eq!(wrong.parse::<Capabilities>(), Err(()), "{wrong}");
    }
}
