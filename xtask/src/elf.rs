//! Whether an ELF file needs an interpreter, elf(5): a static one does not.

use std::io;
use std::path::Path;

const MAGIC: &[u8] = b"\x7fELF";
/// `e_ident` at EI_CLASS and EI_DATA: 64 bit, little endian.
const CLASS_AND_DATA: &[u8] = &[2, 1];
/// A program header of this type names the dynamic linker.
const PT_INTERP: u32 = 3;

// Offsets into Elf64_Ehdr.
const E_PHOFF: usize = 32;
const E_PHENTSIZE: usize = 54;
const E_PHNUM: usize = 56;

pub(crate) fn is_static(path: &Path) -> io::Result<bool> {
    let bytes = std::fs::read(path)
        .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
    match has_interpreter(&bytes) {
        Some(found) => Ok(!found),
        None => Err(io::Error::other(format!(
            "{} is not a complete 64-bit little-endian ELF file",
            path.display()
        ))),
    }
}

/// `None`: not a whole 64-bit little-endian ELF file.
fn has_interpreter(file: &[u8]) -> Option<bool> {
    if !file.starts_with(MAGIC) || file.get(4..6)? != CLASS_AND_DATA {
        return None;
    }
    let table = usize::try_from(u64::from_le_bytes(array(file, E_PHOFF)?)).ok()?;
    let size = usize::from(u16::from_le_bytes(array(file, E_PHENTSIZE)?));
    let count = usize::from(u16::from_le_bytes(array(file, E_PHNUM)?));
    let mut found = false;
    for index in 0..count {
        let offset = table.checked_add(index.checked_mul(size)?)?;
        found |= u32::from_le_bytes(array(file, offset)?) == PT_INTERP;
    }
    Some(found)
}

fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes
        .get(offset..offset.checked_add(N)?)
        .and_then(|slice| slice.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::has_interpreter;

    const PT_LOAD: u32 = 1;

    fn file(types: &[u32]) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(64, 0);
        file[32] = 64;
        file[54] = 56;
        file[56] = u8::try_from(types.len()).unwrap();
        for kind in types {
            file.extend(kind.to_le_bytes());
            file.extend([0; 52]);
        }
        file
    }

    #[test]
    fn an_interpreter_is_found_in_any_place() {
        assert_eq!(has_interpreter(&file(&[PT_LOAD, PT_LOAD])), Some(false));
        assert_eq!(has_interpreter(&file(&[3, PT_LOAD])), Some(true));
        assert_eq!(has_interpreter(&file(&[PT_LOAD, PT_LOAD, 3])), Some(true));
    }

    #[test]
    fn a_truncated_or_foreign_file_is_not_static() {
        let whole = file(&[PT_LOAD, PT_LOAD]);
        assert_eq!(has_interpreter(&whole[..64 + 56]), None);
        assert_eq!(has_interpreter(&whole[..40]), None);
        assert_eq!(has_interpreter(b""), None);
        assert_eq!(has_interpreter(b"#!/bin/sh\n"), None);
        let mut half = whole.clone();
        half[4] = 1;
        assert_eq!(has_interpreter(&half), None);
        let mut far = whole;
        far[32..40].fill(0xff);
        assert_eq!(has_interpreter(&far), None);
    }
}
