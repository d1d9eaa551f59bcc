use super::*;

#[test]
fn an_error_is_read_by_the_name_that_it_is_written_with() {
    for ret in [-1, -22, -38, -133] {
        let errno = Errno::of(ret);
        assert_eq!(errno.to_string().parse(), Ok(errno));
    }
    assert_eq!(Errno::of(-1).to_string(), "EPERM");
    assert_eq!("EPERMS".parse::<Errno>(), Err(()));
}

#[test]
fn flags_and_notes_are_arrays_of_names() {
    let flags = NamespaceFlags(0x4002_0011);
    let json = serde_json::to_string(&flags).unwrap();
    assert_eq!(json, r#"["NEWNS","NEWNET"]"#);
    let read: NamespaceFlags = serde_json::from_str(&json).unwrap();
    assert_eq!(read, NamespaceFlags(0x4002_0000));
    assert!(serde_json::from_str::<NamespaceFlags>(r#"["NEWNETS"]"#).is_err());
    let notes = EventNotes(EventFlags::FLAGS_RACY.and(EventFlags::FLAGS_UNREAD));
    let json = serde_json::to_string(&notes).unwrap();
    assert_eq!(json, r#"["flags-racy","flags-unread"]"#);
    assert_eq!(serde_json::from_str::<EventNotes>(&json).unwrap(), notes);
    assert!(serde_json::from_str::<EventNotes>(r#"["racy"]"#).is_err());
}
