//! The books as a command: 0 while they balance, 1 with a list that says what and where, whether or not an engine runs.

use std::path::PathBuf;

use crate::usage::support::{Home, receiver, subscription, until};

fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|n| format!("{{\"type\":\"item.updated\",\"id\":\"g{n}\",\"data\":{{\"n\":{n}}}}}\n")).collect()
}

fn segment(home: &Home) -> PathBuf {
    let mut dirs = vec![home.path("spool/claimed"), home.path("spool/archive")];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => dirs.push(path),
                false if path.to_string_lossy().contains("orders") => return path,
                false => {}
            }
        }
    }
    panic!("no segment of orders");
}

#[test]
fn what_was_changed_by_hand_is_named_and_the_answer_is_no() {
    let target = receiver(&[200]);
    let home = Home::new(&subscription("a", target.addr(), ""));
    home.spool("orders.ndjson", lines(0..50));
    let mut engine = home.engine();
    until("all is delivered", || home.books("a")["delivered"] == 50);
    home.run(&["audit"]).expect(0);
    let segment = segment(&home);
    let id = segment.file_name().unwrap().to_string_lossy()[..26].to_owned();
    let whole = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, whole.replacen(&lines(20..21), "", 1)).unwrap();
    let said = home.run(&["audit"]).expect(1).all();
    assert!(said.contains("spool:") && said.contains(&id), "{said}");
    assert_eq!(engine.stop(), Some(0));
    let said = home.run(&["audit"]).expect(1).all();
    assert!(said.contains("spool:") && said.contains(&id), "{said}");
    std::fs::write(&segment, whole).unwrap();
    home.run(&["audit"]).expect(0);
    let journal = std::fs::read_dir(home.path("state/journal")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&journal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&journal, bytes).unwrap();
    let said = home.run(&["--json", "audit"]).expect(1).json();
    let differences = said["differences"].as_array().unwrap();
    let name = journal.file_name().unwrap().to_string_lossy().into_owned();
    assert!(differences.iter().any(|each| each.as_str().is_some_and(|each| each.contains(&name))), "{said:#}");
}
