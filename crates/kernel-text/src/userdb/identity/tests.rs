use super::*;

use proptest::prelude::*;

const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/bash\n\
    1000:x:0:0::/:/bin/sh\n\
    bob:x:500:501::/home/bob:/bin/sh\n\
    bob2:x:500:0::/:/bin/false\n\
    bare:x:7:8:::\n\
    broken:x:abc:0::/:/bin/sh\n\
    half:x:9:::/:/bin/sh\n";

const GROUP: &[u8] = b"root:x:0:\n\
    1000:x:0:\n\
    wheel:x:10:root,bob\n\
    audio:x:63:bob\n\
    again:x:10:bob\n\
    bad:x:abc:eve\n\
    wheel:x:11:\n";

/// The defaults are ids that no file has.
fn read(spec: &str) -> Result<Identity, Fault<IdentityErrorKind>> {
    let spec = UserSpec::parse(spec).expect("a specification");
    resolve(&spec, PASSWD, GROUP, 77, 78)
}

fn ids(spec: &str) -> (u32, u32, Vec<u32>) {
    let identity = read(spec).expect("it should be found");
    (identity.uid, identity.gid, identity.groups)
}

fn reason(spec: &str) -> IdentityErrorKind {
    read(spec).expect_err("it should be refused").reason
}

/// The groups of a user without groups after these were added.
fn additional_groups(
    wanted: &[Account],
    group: &[u8],
) -> Result<Vec<u32>, Fault<IdentityErrorKind>> {
    let spec = UserSpec::parse("4711:0").expect("a specification");
    let mut identity = resolve(&spec, b"", b"", 0, 0).expect("a number");
    identity.add_groups(wanted, group)?;
    Ok(identity.groups)
}

fn account(text: &str) -> Account {
    Account::parse(text).expect("an account")
}

fn name(text: &str) -> Name {
    match account(text) {
        Account::Name(name) => name,
        Account::Id(id) => panic!("{id:?}"),
    }
}

#[test]
fn every_form_of_a_specification() {
    for (spec, identity) in [
        ("", (77, 78, vec![])),
        ("bob", (500, 501, vec![10, 63])),
        ("500", (500, 501, vec![10, 63])),
        ("root", (0, 0, vec![10])),
        ("0", (0, 0, vec![10])),
        ("4711", (4711, 78, vec![])),
        ("bob:wheel", (500, 10, vec![])),
        ("bob:4711", (500, 4711, vec![])),
        ("4711:wheel", (4711, 10, vec![])),
        ("4711:4712", (4711, 4712, vec![])),
        ("bob:0", (500, 0, vec![])),
    ] {
        assert_eq!(ids(spec), identity, "{spec:?}");
    }
}

#[test]
fn a_number_is_a_number_before_it_is_a_name() {
    assert_eq!(ids("1000"), (1000, 78, vec![]));
    assert_eq!(ids("bob:1000"), (500, 1000, vec![]));
    assert_eq!(additional_groups(&[account("1000")], GROUP), Ok(vec![1000]));
}

#[test]
fn a_line_that_cannot_be_read_is_never_root() {
    assert_eq!(
        reason("broken"),
        IdentityErrorKind::Passwd(passwd::PasswdErrorKind::Uid)
    );
    assert_eq!(
        reason("half"),
        IdentityErrorKind::Passwd(passwd::PasswdErrorKind::Gid)
    );
    assert_eq!(
        reason("bob:bad"),
        IdentityErrorKind::Group(group::GroupErrorKind::Gid)
    );
    // The uid of a line without a gid is not known either.
    assert_eq!(ids("9"), (9, 78, vec![]));
    let wanted = [account("wheel"), account("bad")];
    let fault = additional_groups(&wanted, GROUP).expect_err("refused");
    assert_eq!(
        fault.reason,
        IdentityErrorKind::Group(group::GroupErrorKind::Gid)
    );
    assert_eq!(GROUP.get(fault.span), Some(&b"bad:x:abc:eve"[..]));
    let spec = UserSpec::parse("eve").expect("a specification");
    let fault = resolve(&spec, b"eve:x:1:1::/:", GROUP, 0, 0).expect_err("refused");
    assert_eq!(
        fault.reason,
        IdentityErrorKind::Group(group::GroupErrorKind::Gid)
    );
}

#[test]
fn a_name_that_is_nowhere_is_an_error() {
    assert_eq!(reason("eve"), IdentityErrorKind::NoUser(name("eve")));
    assert_eq!(reason("1000x"), IdentityErrorKind::NoUser(name("1000x")));
    assert_eq!(reason("bob:eve"), IdentityErrorKind::NoGroup(name("eve")));
    let fault = additional_groups(&[account("eve")], GROUP).expect_err("refused");
    assert_eq!(
        fault,
        Fault::new(0..GROUP.len(), IdentityErrorKind::NoGroup(name("eve")))
    );
    assert_eq!(reason("eve").to_string(), "Unable to find user eve");
    assert_eq!(reason("bob:eve").to_string(), "Unable to find group eve");
}

#[test]
fn home_name_and_shell_come_with_the_user() {
    let texts = |spec: &str| {
        let identity = read(spec).expect("it should be found");
        (identity.home, identity.name, identity.shell)
    };
    let some = |text: &std::ffi::CStr| Some(text.to_owned());
    let root = || c"/".to_owned();
    assert_eq!(
        texts("500:0"),
        (c"/home/bob".to_owned(), some(c"bob"), some(c"/bin/sh"))
    );
    assert_eq!(texts("bare"), (root(), some(c"bare"), None));
    assert_eq!(texts("4711"), (root(), None, None));
}

#[test]
fn without_files_only_numbers_are_valid() {
    let read = |spec: &str| {
        let spec = UserSpec::parse(spec).expect("a specification");
        resolve(&spec, b"", b"", 1, 2).map(|identity| (identity.uid, identity.gid))
    };
    assert_eq!(read(""), Ok((1, 2)));
    assert_eq!(read("0"), Ok((0, 2)));
    assert_eq!(read("3:4"), Ok((3, 4)));
    assert_eq!(
        read("root"),
        Err(Fault::new(0..0, IdentityErrorKind::NoUser(name("root"))))
    );
}

#[test]
fn the_default_user_has_the_groups_that_its_entry_has() {
    let spec = UserSpec::Unset;
    let identity = resolve(&spec, PASSWD, GROUP, 500, 78).expect("found");
    assert_eq!((identity.uid, identity.gid), (500, 501));
    assert_eq!(identity.groups, [10, 63]);
}

#[test]
fn additional_groups_keep_their_order() {
    let wanted = ["63", "wheel", "9", "10", "audio"].map(account);
    assert_eq!(additional_groups(&wanted, GROUP), Ok(vec![63, 10, 9]));
    assert_eq!(additional_groups(&[], GROUP), Ok(vec![]));
}

#[test]
fn groups_are_bounded_in_number() {
    let groups =
        |count: u32| -> Vec<Account> { (0..count).map(|gid| account(&gid.to_string())).collect() };
    let most = additional_groups(&groups(65_536), b"").expect("as many as there may be");
    assert_eq!(most.len(), MAX_GROUPS);
    let fault = additional_groups(&groups(65_537), b"").expect_err("refused");
    assert_eq!(fault.reason, IdentityErrorKind::TooManyGroups);
    // Those that list the user count.
    let spec = UserSpec::parse("bob").expect("a specification");
    let bob = |count| {
        let mut identity = resolve(&spec, PASSWD, GROUP, 0, 0).expect("there");
        let added = identity.add_groups(&groups(count), GROUP);
        (identity.groups.len(), added.map_err(|fault| fault.reason))
    };
    // 10 and 63 are among them.
    assert_eq!(bob(65_536), (MAX_GROUPS, Ok(())));
    assert_eq!(
        bob(65_537),
        (MAX_GROUPS, Err(IdentityErrorKind::TooManyGroups))
    );

    let file = |count: u32| -> Vec<u8> {
        let line = |gid| format!("g::{gid}:u\n").into_bytes();
        (0..count).flat_map(line).collect()
    };
    let spec = UserSpec::parse("u").expect("a specification");
    let read = |count| resolve(&spec, b"u:x:1:1::/:", &file(count), 0, 0);
    assert_eq!(
        read(65_536).map(|identity| identity.groups.len()),
        Ok(MAX_GROUPS)
    );
    assert_eq!(
        read(65_537).map_err(|fault| fault.reason),
        Err(IdentityErrorKind::TooManyGroups)
    );
}

#[test]
fn files_are_needed_for_names_and_missing_attributes() {
    let none: &[Account] = &[];
    for (spec, additional, needed) in [
        ("", none, [true, true]),
        ("bob", none, [true, true]),
        ("7", none, [true, true]),
        ("bob:8", none, [true, false]),
        ("7:wheel", none, [false, true]),
        ("7:8", none, [false, false]),
        ("7:8", &[account("9")], [false, false]),
        ("7:8", &[account("9"), account("wheel")], [false, true]),
    ] {
        let spec = UserSpec::parse(spec).expect("a specification");
        assert_eq!(needs(&spec, additional), needed, "{spec}");
    }
}

#[test]
fn ambiguous_lines_are_warnings() {
    let spec = |text: &str| UserSpec::parse(text).expect("a specification");
    let warnings = |identity: &Identity| -> Vec<(&str, usize)> {
        let warnings = identity.warnings.iter();
        warnings
            .map(|warning| (warning.file, warning.fields))
            .collect()
    };
    let (passwd, group) = (b"u:x:5:6:c:/h", b"g:x:7:u:x\nh:x:8:u:y:z\ni:x:9\nj:x:10:u");
    let mut identity = resolve(&spec("u"), passwd, group, 0, 0).expect("there");
    assert_eq!((identity.uid, identity.gid), (5, 6));
    assert_eq!(identity.groups, [7, 8, 10]);
    assert_eq!(warnings(&identity), [("passwd", 6), ("group", 5)]);
    identity.add_groups(&[account("i")], group).expect("there");
    assert_eq!(identity.groups, [7, 8, 10, 9]);
    assert_eq!(
        warnings(&identity),
        [("passwd", 6), ("group", 5), ("group", 3)]
    );
    let identity = resolve(&spec("bob"), PASSWD, GROUP, 0, 0).expect("there");
    assert_eq!(warnings(&identity), []);
}

proptest! {
    #[test]
    fn an_identity_is_written_in_the_files_or_in_the_specification(
        spec in "[a-c0-3]{1,2}(:[a-c0-3]{1,2})?",
        passwd in proptest::collection::vec(
            "[a-c0-3]{1,2}:x:[0-9+a]{1,2}:[0-9]{1,2}::/[a-c]{0,2}:", 0..6),
        group in proptest::collection::vec("[a-c0-3]{1,2}:x:[0-9]{1,2}:[a-c,]{0,5}", 0..6),
    ) {
        let Ok(spec) = UserSpec::parse(&spec) else { return Ok(()) };
        let (passwd, group) = (passwd.join("\n"), group.join("\n"));
        if let Ok(identity) = resolve(&spec, passwd.as_bytes(), group.as_bytes(), 77, 78) {
            let ids = ["", "0"].map(|zero| format!(":x:{zero}{}:", identity.uid));
            let entry = ids.iter().any(|ids| passwd.contains(ids));
            prop_assert!(entry || identity.name.is_none());
            match &spec {
                UserSpec::User { user: Account::Id(id), .. } => prop_assert_eq!(identity.uid, id.get()),
                UserSpec::User { user: Account::Name(name), .. } => {
                    let found = identity.name.as_ref().map(|found| found.as_bytes());
                    prop_assert_eq!(found, Some(name.as_str().as_bytes()));
                }
                UserSpec::Unset => prop_assert_eq!(identity.uid, 77),
            }
            if let UserSpec::User { group: Some(Account::Id(id)), .. } = &spec {
                prop_assert_eq!(identity.gid, id.get());
            }
            // Named by its number with the same files, it is the same user.
            let by_id = UserSpec::parse(&identity.uid.to_string()).expect("a number");
            let again = resolve(&by_id, passwd.as_bytes(), group.as_bytes(), 77, 78);
            if let Ok(again) = again {
                prop_assert_eq!(again.uid, identity.uid);
            }
        }
    }
}
