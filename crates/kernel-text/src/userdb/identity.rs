//! What a user specification comes to with a container's passwd and group files.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fmt;

use crate::userdb::spec::{Account, Name, UserSpec};
use crate::userdb::{Doubt, group, passwd};
use nsexec_text::Fault;

/// Most supplementary groups: NGROUPS_MAX, limits.h.
pub const MAX_GROUPS: usize = 65_536;

/// Who the program runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user id.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// The supplementary groups: those that list the user, each once; none
    /// when the specification names a group. At most [`MAX_GROUPS`].
    pub groups: Vec<u32>,
    /// The home directory; `/` where the passwd file has none.
    pub home: CString,
    /// The user's name; `None`: the passwd file has no user with this id.
    pub name: Option<CString>,
    /// The login shell, if the passwd file has one.
    pub shell: Option<CString>,
    /// Lines that were used and that others may read differently: at most the
    /// user's, and the first of each list of groups.
    pub doubts: Vec<Doubt>,
}

/// Why a specification comes to nobody. Places count the bytes of the file that
/// the reason speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The passwd file, or the user's line in it.
    Passwd(passwd::Reason),
    /// The group file, or a line in it that is the group's or lists the user.
    Group(group::Reason),
    /// The passwd file has no such user.
    NoUser(Name),
    /// The group file has no such group.
    NoGroup(Name),
    /// More than [`MAX_GROUPS`] groups: those that list the user, and those added.
    TooManyGroups,
}

/// The files that [`resolve`] and [`Identity::add_groups`] cannot do without:
/// passwd, and group. Without passwd, what is left to know is HOME.
#[must_use]
pub fn needs(spec: &UserSpec, additional: &[Account]) -> [bool; 2] {
    let is_name = |account: &Account| matches!(account, Account::Name(_));
    let (user, group) = match spec {
        UserSpec::Unset => (true, true),
        UserSpec::User { user, group } => (
            is_name(user) || group.is_none(),
            group.as_ref().is_none_or(is_name),
        ),
    };
    [user, group || additional.iter().any(is_name)]
}

/// The identity that `spec` means with these contents of /etc/passwd and
/// /etc/group; a file that is not there is an empty one.
///
/// As in libcontainer, a user without a specification has the default ids, and
/// a number that the passwd file does not have is a user with the default group;
/// the first match wins. A number is looked up by its id alone.
///
/// # Errors
/// A name that is not there, or a line that is needed and of no use.
pub fn resolve(
    spec: &UserSpec,
    passwd: &[u8],
    group: &[u8],
    default_uid: u32,
    default_gid: u32,
) -> Result<Identity, Fault<Reason>> {
    let (user, explicit_group) = match spec {
        UserSpec::Unset => (None, None),
        UserSpec::User { user, group } => (Some(user), group.as_ref()),
    };
    let (uid, entry) = match user {
        Some(Account::Name(name)) => {
            let entry = passwd::by_name(passwd, name.as_str().as_bytes()).map_err(in_passwd)?;
            let no_user = || Fault::new(0..passwd.len(), Reason::NoUser(name.clone()));
            let entry = entry.ok_or_else(no_user)?;
            (entry.uid, Some(entry))
        }
        by_id => {
            let uid = match by_id {
                Some(Account::Id(id)) => id.get(),
                _ => default_uid,
            };
            (uid, passwd::by_uid(passwd, uid).map_err(in_passwd)?)
        }
    };
    let name = entry.map(|entry| entry.name);
    let mut groups = Vec::new();
    let mut doubts: Vec<Doubt> = entry.and_then(|entry| entry.doubt()).into_iter().collect();
    let gid = match explicit_group {
        Some(explicit) => gid_of(explicit, group)?,
        None => {
            if let Some(name) = name {
                let mut doubt = None;
                let listing = group::of_member(group, name).map_err(in_group)?;
                let gids = listing.map(|entry| {
                    let entry = entry.map_err(in_group)?;
                    doubt = doubt.take().or_else(|| entry.doubt());
                    Ok(entry.gid)
                });
                add_each_once(&mut groups, gids, group)?;
                doubts.extend(doubt);
            }
            entry.map_or(default_gid, |entry| entry.gid)
        }
    };
    let text = |field: fn(passwd::Entry<'_>) -> &[u8]| {
        let field = entry.map(field).filter(|field| !field.is_empty());
        field.and_then(|field| CString::new(field).ok())
    };
    Ok(Identity {
        uid,
        gid,
        groups,
        home: text(|entry| entry.home).unwrap_or_else(|| c"/".to_owned()),
        name: text(|entry| entry.name),
        shell: text(|entry| entry.shell),
        doubts,
    })
}

impl Identity {
    /// Adds these groups, each that is not there yet once, with this content of
    /// /etc/group. The file is read through once, however many groups there are.
    ///
    /// # Errors
    /// A name that is not there, or its line is of no use; more than
    /// [`MAX_GROUPS`] in all.
    pub fn add_groups(&mut self, wanted: &[Account], group: &[u8]) -> Result<(), Fault<Reason>> {
        let (gids, doubt) = gids_of(wanted, group)?;
        add_each_once(&mut self.groups, gids.into_iter().map(Ok), group)?;
        self.doubts.extend(doubt);
        Ok(())
    }
}

/// The ids of these groups, and the first doubt.
fn gids_of(wanted: &[Account], group: &[u8]) -> Result<(Vec<u32>, Option<Doubt>), Fault<Reason>> {
    let mut doubt = None;
    let names = wanted.iter().filter_map(|account| match account {
        Account::Id(_) => None,
        Account::Name(name) => Some((name.as_str().as_bytes(), None)),
    });
    let mut found: BTreeMap<&[u8], Option<u32>> = names.collect();
    for record in group::records(group).map_err(in_group)? {
        if let Some(gid @ None) = found.get_mut(record.name) {
            let entry = record.entry.map_err(in_group)?;
            doubt = doubt.take().or_else(|| entry.doubt());
            *gid = Some(entry.gid);
        }
    }
    let gids = wanted.iter().map(|account| match account {
        Account::Id(id) => Ok(id.get()),
        Account::Name(name) => {
            let gid = found.get(name.as_str().as_bytes()).copied().flatten();
            gid.ok_or_else(|| Fault::new(0..group.len(), Reason::NoGroup(name.clone())))
        }
    });
    Ok((gids.collect::<Result<_, _>>()?, doubt))
}

fn gid_of(account: &Account, group: &[u8]) -> Result<u32, Fault<Reason>> {
    match account {
        Account::Id(id) => Ok(id.get()),
        Account::Name(name) => {
            let entry = group::by_name(group, name.as_str().as_bytes()).map_err(in_group)?;
            let no_group = || Fault::new(0..group.len(), Reason::NoGroup(name.clone()));
            Ok(entry.ok_or_else(no_group)?.gid)
        }
    }
}

/// Adds the ids that the list does not have yet, in their order.
fn add_each_once(
    list: &mut Vec<u32>,
    gids: impl Iterator<Item = Result<u32, Fault<Reason>>>,
    group: &[u8],
) -> Result<(), Fault<Reason>> {
    let mut seen: BTreeSet<u32> = list.iter().copied().collect();
    for gid in gids {
        let gid = gid?;
        if seen.insert(gid) {
            if list.len() == MAX_GROUPS {
                return Err(Fault::new(0..group.len(), Reason::TooManyGroups));
            }
            list.push(gid);
        }
    }
    Ok(())
}

fn in_passwd(fault: Fault<passwd::Reason>) -> Fault<Reason> {
    Fault::new(fault.span, Reason::Passwd(fault.reason))
}

fn in_group(fault: Fault<group::Reason>) -> Fault<Reason> {
    Fault::new(fault.span, Reason::Group(fault.reason))
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passwd(reason) => write!(f, "the container's passwd file: {reason}"),
            Self::Group(reason) => write!(f, "the container's group file: {reason}"),
            // libcontainer's words.
            Self::NoUser(name) => write!(f, "Unable to find user {}", name.as_str()),
            Self::NoGroup(name) => write!(f, "Unable to find group {}", name.as_str()),
            Self::TooManyGroups => {
                write!(
                    f,
                    "more than {MAX_GROUPS} groups; setgroups(2) takes no more"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn read(spec: &str) -> Result<Identity, Fault<Reason>> {
        let spec = UserSpec::parse(spec).expect("a specification");
        resolve(&spec, PASSWD, GROUP, 77, 78)
    }

    fn ids(spec: &str) -> (u32, u32, Vec<u32>) {
        let identity = read(spec).expect("it should be found");
        (identity.uid, identity.gid, identity.groups)
    }

    fn reason(spec: &str) -> Reason {
        read(spec).expect_err("it should be refused").reason
    }

    /// What a user without groups has after these were added.
    fn additional_groups(wanted: &[Account], group: &[u8]) -> Result<Vec<u32>, Fault<Reason>> {
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
        assert_eq!(reason("broken"), Reason::Passwd(passwd::Reason::Uid));
        assert_eq!(reason("half"), Reason::Passwd(passwd::Reason::Gid));
        assert_eq!(reason("bob:bad"), Reason::Group(group::Reason::Gid));
        // The uid of a line without a gid is not known either.
        assert_eq!(ids("9"), (9, 78, vec![]));
        let wanted = [account("wheel"), account("bad")];
        let fault = additional_groups(&wanted, GROUP).expect_err("refused");
        assert_eq!(fault.reason, Reason::Group(group::Reason::Gid));
        assert_eq!(GROUP.get(fault.span), Some(&b"bad:x:abc:eve"[..]));
        let spec = UserSpec::parse("eve").expect("a specification");
        let fault = resolve(&spec, b"eve:x:1:1::/:", GROUP, 0, 0).expect_err("refused");
        assert_eq!(fault.reason, Reason::Group(group::Reason::Gid));
    }

    #[test]
    fn a_name_that_is_nowhere_is_an_error() {
        assert_eq!(reason("eve"), Reason::NoUser(name("eve")));
        assert_eq!(reason("1000x"), Reason::NoUser(name("1000x")));
        assert_eq!(reason("bob:eve"), Reason::NoGroup(name("eve")));
        let fault = additional_groups(&[account("eve")], GROUP).expect_err("refused");
        assert_eq!(
            fault,
            Fault::new(0..GROUP.len(), Reason::NoGroup(name("eve")))
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
    fn without_files_numbers_alone_are_known() {
        let read = |spec: &str| {
            let spec = UserSpec::parse(spec).expect("a specification");
            resolve(&spec, b"", b"", 1, 2).map(|identity| (identity.uid, identity.gid))
        };
        assert_eq!(read(""), Ok((1, 2)));
        assert_eq!(read("0"), Ok((0, 2)));
        assert_eq!(read("3:4"), Ok((3, 4)));
        assert_eq!(
            read("root"),
            Err(Fault::new(0..0, Reason::NoUser(name("root"))))
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
        let groups = |count: u32| -> Vec<Account> {
            (0..count).map(|gid| account(&gid.to_string())).collect()
        };
        let most = additional_groups(&groups(65_536), b"").expect("as many as there may be");
        assert_eq!(most.len(), MAX_GROUPS);
        let fault = additional_groups(&groups(65_537), b"").expect_err("refused");
        assert_eq!(fault.reason, Reason::TooManyGroups);
        // Those that list the user count.
        let spec = UserSpec::parse("bob").expect("a specification");
        let bob = |count| {
            let mut identity = resolve(&spec, PASSWD, GROUP, 0, 0).expect("there");
            let added = identity.add_groups(&groups(count), GROUP);
            (identity.groups.len(), added.map_err(|fault| fault.reason))
        };
        // 10 and 63 are among them.
        assert_eq!(bob(65_536), (MAX_GROUPS, Ok(())));
        assert_eq!(bob(65_537), (MAX_GROUPS, Err(Reason::TooManyGroups)));

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
            Err(Reason::TooManyGroups)
        );
    }

    #[test]
    fn files_are_needed_for_names_and_for_what_a_number_does_not_say() {
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
    fn lines_that_others_read_differently_are_doubts() {
        let spec = |text: &str| UserSpec::parse(text).expect("a specification");
        let doubts = |identity: &Identity| -> Vec<(&str, usize)> {
            let doubts = identity.doubts.iter();
            doubts.map(|doubt| (doubt.file, doubt.fields)).collect()
        };
        let (passwd, group) = (b"u:x:5:6:c:/h", b"g:x:7:u:x\nh:x:8:u:y:z\ni:x:9\nj:x:10:u");
        let mut identity = resolve(&spec("u"), passwd, group, 0, 0).expect("there");
        assert_eq!((identity.uid, identity.gid), (5, 6));
        assert_eq!(identity.groups, [7, 8, 10]);
        assert_eq!(doubts(&identity), [("passwd", 6), ("group", 5)]);
        identity.add_groups(&[account("i")], group).expect("there");
        assert_eq!(identity.groups, [7, 8, 10, 9]);
        assert_eq!(
            doubts(&identity),
            [("passwd", 6), ("group", 5), ("group", 3)]
        );
        let identity = resolve(&spec("bob"), PASSWD, GROUP, 0, 0).expect("there");
        assert_eq!(doubts(&identity), []);
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
}
