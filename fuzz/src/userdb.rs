//! passwd, group and user specifications.

use nsexec_kernel_text::userdb::{Identity, UserSpec, group, needs, passwd, resolve, spec};

/// A specification, a passwd file and a group file, with NULs between them.
pub fn userdb(input: &[u8]) {
    let mut parts = input.splitn(3, |byte| *byte == 0);
    let wanted = parts.next().unwrap_or_default();
    let (users, groups) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    for uid in [0, 1000, spec::MAX_ID] {
        if let Ok(Some(user)) = passwd::by_uid(users, uid) {
            assert_eq!(user.uid, uid);
            assert!(!user.name.is_empty() && user.gid != u32::MAX);
            assert!(user.fields >= 4);
            assert_eq!(
                user.field_count_warning().is_some(),
                user.fields != passwd::FIELDS
            );
        }
    }
    if let Ok(Some(found)) = group::by_name(groups, wanted) {
        assert!(found.gid != u32::MAX);
        assert_eq!(
            found.field_count_warning().is_some(),
            found.fields != group::FIELDS
        );
    }
    let Ok(text) = std::str::from_utf8(wanted) else {
        return;
    };
    let Ok(read) = UserSpec::parse(text) else {
        return;
    };
    assert_eq!(UserSpec::parse(&read.to_string()), Ok(read.clone()));
    let number: Option<u32> = text.parse().ok();
    if let Ok(identity) = resolve(&read, users, groups, 7, 8) {
        assert!(identity.uid != u32::MAX && identity.gid != u32::MAX);
        // A file that is not needed changes only the texts.
        let [needs_users, needs_groups] = needs(&read, &[]);
        let users = if needs_users { users } else { b"" };
        let groups = if needs_groups { groups } else { b"" };
        let again = resolve(&read, users, groups, 7, 8).expect("all needed files are present");
        let ids = |identity: &Identity| (identity.uid, identity.gid, identity.groups.clone());
        assert_eq!(ids(&again), ids(&identity));
        // CVE-2016-3697: a number is that user, regardless of names.
        assert!(number.is_none_or(|number| identity.uid == number));
    }
}
