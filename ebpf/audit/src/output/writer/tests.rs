use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::*;
use crate::enrich::enricher::Enricher;
use crate::model::event::{MissReason, MissedEvent, Time};

/// Accepts this many bytes, and then returns ENOSPC.
struct Disk {
    room: usize,
    taken: Arc<Mutex<Vec<u8>>>,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.room.min(bytes.len());
        if taken == 0 && !bytes.is_empty() {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.room -= taken;
        self.taken.lock().unwrap().extend(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start(room: usize) -> (io::Result<Writer>, Arc<Mutex<Vec<u8>>>) {
    let taken = Arc::default();
    let disk = Disk {
        room,
        taken: Arc::clone(&taken),
    };
    let writer = Writer::start(Lines {
        format: Format::Json,
        text: Text { colour: false },
        stream_info: Enricher::start(Vec::new()).unwrap().stream_info(),
        out: Output::Stream(Box::new(disk)),
    });
    (writer, taken)
}

fn line(number: usize) -> Line {
    Line::Missed(MissedEvent {
        time: Time {
            ts_boot_ns: 0,
            ts_wall_ms: 0,
        },
        backend: "x".into(),
        why: MissReason::Recursion,
        count: u64::try_from(number).unwrap(),
    })
}

#[test]
fn complete_lines_are_written_in_order_and_chained() {
    let (writer, taken) = start(usize::MAX);
    let mut writer = writer.unwrap();
    for first in (0..100).step_by(2) {
        writer.lines(vec![line(first), line(first + 1)]).unwrap();
        writer.check().unwrap();
    }
    drop(writer);
    let taken = taken.lock().unwrap();
    let verified = hash_chain::verify(&mut taken.as_slice(), hash_chain::BEGINNING).unwrap();
    assert_eq!(verified.unwrap().0, 101);
    let numbers = taken.split(|byte| *byte == b'\n').filter_map(|line| {
        let line: Value = serde_json::from_slice(line).ok()?;
        line["count"].as_u64()
    });
    assert_eq!(numbers.collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
}

/// Accepts nothing until it is released.
struct Stuck(Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // An error: for good.
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns a writer without room; dropping the returned value makes room. The writer's end
/// is awaited, so the value must be dropped before any assertion fails.
pub(crate) fn full() -> (Writer, Sender<()>) {
    let (go, stuck) = channel();
    // Room for the first line, which is written before the thread starts.
    go.send(()).unwrap();
    let mut writer = Writer::start(Lines {
        format: Format::Json,
        text: Text { colour: false },
        stream_info: Enricher::start(Vec::new()).unwrap().stream_info(),
        out: Output::Stream(Box::new(Stuck(stuck))),
    })
    .unwrap();
    for number in 0..=MOST {
        if writer.has_room() {
            writer.lines(vec![line(number)]).unwrap();
        }
    }
    (writer, go)
}

#[test]
fn the_writer_reports_when_another_message_would_block() {
    let (mut writer, go) = full();
    let (taken, has_room) = (writer.under_way, writer.has_room());
    // The writer still receives the sums and a request for a new file. Without room for
    // them it would wait forever.
    let places = match &writer.queue {
        Some(queue) => (0..BESIDE)
            .filter(|_| queue.try_send(Message::Rotate).is_ok())
            .count(),
        None => 0,
    };
    writer.under_way += places;
    // Before any assertion fails, because its end is awaited.
    drop(go);
    assert_eq!((taken, has_room, places), (MOST, false, BESIDE));
    while !writer.has_room() {
        writer.check().unwrap();
    }
    writer.finish().unwrap();
    writer.has_room();
    assert_eq!(writer.under_way, 0);
}

#[test]
fn a_failed_write_is_reported_by_the_next_call() {
    let (writer, _) = start(0);
    assert_eq!(writer.unwrap_err().kind(), io::ErrorKind::StorageFull);

    let room = 2000;
    let (writer, taken) = start(room);
    let mut writer = writer.unwrap();
    let mut numbers = 0..;
    let refused = loop {
        if let Err(error) = writer.lines(numbers.by_ref().take(1).map(line).collect()) {
            break error;
        }
    };
    assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
    assert_eq!(taken.lock().unwrap().len(), room);
    // A failed writer reports its error at every later call.
    assert!(writer.check().is_err() && writer.lines(vec![line(0)]).is_err());

    let (writer, _) = start(room);
    let mut writer = writer.unwrap();
    writer.lines((0..room).map(line).collect()).unwrap();
    let refused = loop {
        if let Err(error) = writer.check() {
            break error;
        }
        std::thread::yield_now();
    };
    assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
}
