//! PyTorch files by hand: programs of a pickle machine, and the two containers.

use std::io::{Cursor, Write};

use zip::write::{SimpleFileOptions, ZipWriter};

/// A pickle program under construction.
#[derive(Default, Clone)]
pub(crate) struct Program(pub(crate) Vec<u8>);

impl Program {
    pub(crate) fn new() -> Self {
        Program(vec![0x80, 2])
    }

    pub(crate) fn op(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.op(b"X").op(&(text.len() as u32).to_le_bytes()).op(text.as_bytes())
    }

    pub(crate) fn int(self, number: i64) -> Self {
        self.op(&[0x8a, 8]).op(&number.to_le_bytes())
    }

    pub(crate) fn global(self, module: &str, name: &str) -> Self {
        self.op(format!("c{module}\n{name}\n").as_bytes())
    }

    pub(crate) fn tuple(self, numbers: &[i64]) -> Self {
        let start = self.op(b"(");
        numbers.iter().fold(start, |program, &number| program.int(number)).op(b"t")
    }

    pub(crate) fn storage(self, class: &str, key: &str, count: i64) -> Self {
        self.op(b"(").text("storage").global("torch", class).text(key).text("cpu").int(count).op(b"tQ")
    }

    pub(crate) fn tensor(self, storage: Storage, offset: i64, shape: &[i64], strides: &[i64]) -> Self {
        self.global("torch._utils", "_rebuild_tensor_v2")
            .op(b"(")
            .storage(storage.0, storage.1, storage.2)
            .int(offset)
            .tuple(shape)
            .tuple(strides)
            .op(b"\x89}tR")
    }

    pub(crate) fn stop(self) -> Vec<u8> {
        self.op(b".").0
    }
}

/// Class, key and number of elements.
#[derive(Clone, Copy)]
pub(crate) struct Storage(pub(crate) &'static str, pub(crate) &'static str, pub(crate) i64);

/// `{"w": tensor}`.
pub(crate) fn one_tensor(storage: Storage, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    Program::new().op(b"}").text("w").tensor(storage, offset, shape, strides).op(b"s").stop()
}

pub(crate) fn zip_with(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in entries {
        writer.start_file(*name, stored).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub(crate) fn zip_file(program: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    let names: Vec<String> = storages.iter().map(|(key, _)| format!("m/data/{key}")).collect();
    let mut entries: Vec<(&str, &[u8])> = vec![("m/data.pkl", program), ("m/byteorder", b"little")];
    entries.extend(names.iter().map(String::as_str).zip(storages.iter().map(|(_, bytes)| *bytes)));
    zip_with(&entries)
}

/// Magic number, version and byte order of a stream.
pub(crate) fn stream_start(version: i64) -> Vec<u8> {
    let magic = [0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];
    let machine = Program::new().op(b"}(").text("little_endian").op(b"\x88u").stop();
    [&magic[..], &Program::new().int(version).stop(), &machine].concat()
}

/// A stream: `storages` as key, claimed count and bytes.
pub(crate) fn stream(program: &[u8], storages: &[(&str, u64, &[u8])]) -> Vec<u8> {
    let start = Program::new().op(b"](");
    let keys = storages.iter().fold(start, |program, (key, ..)| program.text(key)).op(b"e").stop();
    let mut file = [&stream_start(1001)[..], program, &keys].concat();
    for (_, count, bytes) in storages {
        file.extend_from_slice(&count.to_le_bytes());
        file.extend_from_slice(bytes);
    }
    file
}
