use super::{Btf, BtfFault};

/// The names that these tests look up.
const NAMES: [&str; 6] = ["outer", "inner", "which", "signed", "loop", "user"];

fn parse(bytes: &[u8]) -> Result<Btf<'_>, BtfFault> {
    Btf::parse(bytes, NAMES)
}

const INT: u32 = 1;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const TYPEDEF: u32 = 8;
const CONST: u32 = 10;

/// A file of types in the kernel's format.
#[derive(Default)]
struct File {
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl File {
    fn new() -> Self {
        Self {
            types: Vec::new(),
            strings: vec![0],
        }
    }

    fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = u32::try_from(self.strings.len()).unwrap();
        self.strings.extend(name.bytes().chain([0]));
        at
    }

    /// A type with this many members, followed by these words.
    fn put(
        &mut self,
        name: &str,
        kind: u32,
        members: u32,
        flag: bool,
        word: u32,
        rest: &[u32],
    ) -> &mut Self {
        let name = self.name(name);
        let info = u32::from(flag) << 31 | kind << 24 | members;
        for word in [&[name, info, word], rest].concat() {
            self.types.extend(word.to_ne_bytes());
        }
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
        let mut file = Vec::new();
        file.extend(0xeb9f_u16.to_ne_bytes());
        file.extend([1, 0]);
        let (types, strings) = (length(&self.types), length(&self.strings));
        for word in [24, 0, types, types, strings] {
            file.extend(word.to_ne_bytes());
        }
        [file, self.types.clone(), self.strings.clone()].concat()
    }
}

/// `struct outer { int a; struct { int b; union { int c; }; }; const inner_t in;
/// int bits: 3; int last; }`, `struct inner { int x; int y; }`.
fn sample() -> File {
    let mut file = File::new();
    let [a, b, c, inner, bits, last, x, y] =
        ["a", "b", "c", "in", "bits", "last", "x", "y"].map(|name| file.name(name));
    file.put("int", INT, 0, false, 4, &[0x0100_0020])
        .put("inner", STRUCT, 2, false, 8, &[x, 1, 0, y, 1, 32])
        .put("inner_t", TYPEDEF, 0, false, 2, &[])
        .put("", CONST, 0, false, 3, &[])
        .put("", UNION, 1, false, 4, &[c, 1, 0])
        .put("", STRUCT, 2, false, 8, &[b, 1, 0, 0, 5, 32])
        .put(
            "outer",
            STRUCT,
            5,
            true,
            28,
            &[
                a,
                1,
                0,
                0,
                6,
                32,
                inner,
                4,
                96,
                bits,
                1,
                3 << 24 | 160,
                last,
                1,
                192,
            ],
        );
    file
}

#[test]
fn members_of_anonymous_structures_are_found() {
    let bytes = sample().bytes();
    let btf = parse(&bytes).unwrap();
    for (path, offset) in [
        ("", 28),
        ("a", 0),
        ("b", 4),
        ("c", 8),
        ("in", 12),
        ("in.x", 12),
        ("in.y", 16),
        ("last", 24),
    ] {
        assert_eq!(btf.offset("outer", path), Some(offset), "{path}");
    }
    assert_eq!(btf.offset("inner", ""), Some(8));
}

#[test]
fn missing_names_are_not_found() {
    let bytes = sample().bytes();
    let btf = parse(&bytes).unwrap();
    for (structure, path) in [
        ("none", ""),
        ("int", ""),
        ("inner_t", "x"),
        ("outer", "y"),
        ("outer", "in.z"),
        ("outer", "a.x"),
        ("outer", "in."),
        ("outer", ".a"),
        // Not a whole number of bytes.
        ("outer", "bits"),
    ] {
        assert_eq!(btf.offset(structure, path), None, "{structure}.{path}");
    }
}

#[test]
fn names_of_an_enumeration_have_their_numbers() {
    let mut file = sample();
    let [zero, seven, minus, x] = ["zero", "seven", "minus", "x"].map(|name| file.name(name));
    file.put("which", ENUM, 1, false, 4, &[x, 1])
        .put("which", ENUM, 2, false, 4, &[zero, 0, seven, 7])
        .put("signed", ENUM, 2, true, 4, &[minus, u32::MAX, seven, 8]);
    let bytes = file.bytes();
    let btf = parse(&bytes).unwrap();
    for (enumeration, name, number) in [
        ("which", "x", Some(1)),
        ("which", "zero", Some(0)),
        ("which", "seven", Some(7)),
        ("signed", "seven", Some(8)),
        ("signed", "minus", None),
        ("signed", "zero", None),
        ("which", "", None),
        ("none", "zero", None),
        // A structure with a member of type 1.
        ("inner", "x", None),
    ] {
        assert_eq!(
            btf.enumerator(enumeration, name),
            number,
            "{enumeration}.{name}"
        );
    }
    assert_eq!(btf.offset("which", ""), None);
    assert_eq!(btf.offset("which", "zero"), None);
}

#[test]
fn the_structure_with_the_member_is_selected() {
    let mut file = sample();
    let z = file.name("z");
    file.put("inner", STRUCT, 1, false, 4, &[z, 1, 0]);
    let bytes = file.bytes();
    let btf = parse(&bytes).unwrap();
    assert_eq!(btf.offset("inner", "y"), Some(4));
    assert_eq!(btf.offset("inner", "z"), Some(0));
}

#[test]
fn types_that_are_made_of_themselves_end() {
    let mut file = File::new();
    file.put("loop", STRUCT, 1, false, 4, &[0, 1, 0])
        .put("turn", TYPEDEF, 0, false, 2, &[]);
    let m = file.name("m");
    file.put("user", STRUCT, 1, false, 4, &[m, 2, 0]);
    let bytes = file.bytes();
    let btf = parse(&bytes).unwrap();
    assert_eq!(btf.offset("loop", "x"), None);
    assert_eq!(btf.offset("user", "m.x"), None);
}

#[test]
fn a_file_that_is_cut_or_changed_is_refused_or_read_to_its_end() {
    let whole = sample().bytes();
    for length in 0..whole.len() {
        assert!(parse(&whole[..length]).is_err(), "{length}");
    }
    for at in 0..whole.len() {
        for byte in [0, 0x7f, 0xff] {
            let mut changed = whole.clone();
            changed[at] = byte;
            if let Ok(btf) = parse(&changed) {
                let _ = btf.offset("outer", "in.y");
                let _ = btf.enumerator("inner", "y");
            }
        }
    }
    let fault = |at: usize, byte: u8| {
        let mut changed = whole.clone();
        changed[at] = byte;
        parse(&changed).unwrap_err()
    };
    assert_eq!(fault(0, 0), BtfFault::Header);
    assert_eq!(fault(2, 2), BtfFault::Header);
    assert_eq!(fault(24 + 7, 31), BtfFault::Kind(31));
    assert_eq!(fault(24 + 16 + 4, 200), BtfFault::Truncated);
}
