use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use super::*;

/// A directory that is removed when the test ends.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nsexec-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn text(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.file(name)).ok()
    }

    fn create(&self, size: Option<u64>, keep: u16) -> io::Result<Files> {
        Files::create(&self.file("f"), Rotation { size, keep })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Like the command: with a first line in each file.
fn write(files: &mut Files, lines: std::ops::Range<u32>) {
    for line in lines {
        let line = format!("{line:03}\n");
        if files.is_full(line.len()) {
            files.rotate().unwrap();
            files.line(b"top\n").unwrap();
        }
        files.line(line.as_bytes()).unwrap();
    }
    files.flush().unwrap();
}

#[test]
fn a_full_file_is_rotated_and_the_oldest_is_deleted() {
    let directory = Directory::new("rotation");
    let mut files = directory.create(Some(12), 2).unwrap();
    files.line(b"top\n").unwrap();
    write(&mut files, 0..7);
    let texts = ["f", "f.1", "f.2", "f.3"].map(|name| directory.text(name));
    let texts = texts.each_ref().map(Option::as_deref);
    let expected = [
        Some("top\n006\n"),
        Some("top\n004\n005\n"),
        Some("top\n002\n003\n"),
        None,
    ];
    assert_eq!(texts, expected);
    let mode = fs::metadata(directory.file("f")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o600);
    // A line that is too long for any file has its own file.
    let long = [b'x'; 40];
    assert!(files.is_full(long.len()));
    files.rotate().unwrap();
    files.line(b"top\n").unwrap();
    assert!(!files.is_full(long.len()));
}

#[test]
fn an_existing_file_is_renamed_and_never_continued() {
    let directory = Directory::new("before");
    fs::write(directory.file("f"), "old").unwrap();
    let mut files = directory.create(None, 5).unwrap();
    write(&mut files, 0..1);
    assert_eq!(directory.text("f.1").unwrap(), "old");
    assert_eq!(directory.text("f").unwrap(), "000\n");
    // While one auditor writes it, no other does.
    let refused = directory.create(None, 5).unwrap_err().to_string();
    assert!(
        refused.contains("another nsexec-audit writes it"),
        "{refused}"
    );
    assert_eq!(directory.text("f.1").unwrap(), "old");
    drop(files);
    drop(directory.create(None, 5).unwrap());
    assert_eq!(directory.text("f.1").unwrap(), "000\n");
    // An empty file belongs to no auditor.
    drop(directory.create(None, 5).unwrap());
    assert_eq!(directory.text("f.1").unwrap(), "000\n");
}

/// Like logrotate(8) with and without `create`.
#[test]
fn a_file_that_was_moved_is_left_where_it_is() {
    let directory = Directory::new("moved");
    let mut files = directory.create(None, 5).unwrap();
    write(&mut files, 0..1);
    for (number, created) in [(1, false), (2, true)] {
        let moved = format!("moved.{number}");
        fs::rename(directory.file("f"), directory.file(&moved)).unwrap();
        if created {
            fs::write(directory.file("f"), "").unwrap();
        }
        write(&mut files, number..number + 1);
        files.rotate().unwrap();
        let last = format!("{number:03}\n");
        assert!(directory.text(&moved).unwrap().ends_with(&last));
        assert_eq!(directory.text("f").unwrap(), "");
        assert_eq!(directory.text("f.1"), None);
        write(&mut files, 9..10);
    }
}

#[test]
fn only_regular_files_are_accepted() {
    let directory = Directory::new("refused");
    fs::write(directory.file("other"), "kept").unwrap();
    symlink(directory.file("other"), directory.file("f")).unwrap();
    let refused = directory.create(None, 5).unwrap_err().to_string();
    assert!(refused.contains("not a regular file"), "{refused}");
    fs::remove_file(directory.file("f")).unwrap();
    fs::create_dir(directory.file("f")).unwrap();
    assert!(directory.create(None, 5).is_err());
    fs::remove_dir(directory.file("f")).unwrap();
    nix::unistd::mkfifo(&directory.file("f"), Mode::S_IRWXU).unwrap();
    assert!(directory.create(None, 5).is_err());
    assert_eq!(directory.text("other").unwrap(), "kept");
    let rotation = Rotation {
        size: None,
        keep: 1,
    };
    for wrong in ["/nowhere/f", "/", ""] {
        assert!(
            Files::create(Path::new(wrong), rotation).is_err(),
            "{wrong:?}"
        );
    }
}
