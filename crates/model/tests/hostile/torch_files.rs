//! Programs that ask for more than tensors, and containers that lie.

use crate::builders::{Program, Storage, one_tensor, stream, stream_start, zip_file, zip_with};
use crate::{assert_memory_is_bounded, read, refused};

const FLOATS: Storage = Storage("FloatStorage", "0", 6);
const DATA: [u8; 24] = [0; 24];

/// Both containers around one program.
fn both(program: &[u8]) -> [Vec<u8>; 2] {
    [zip_file(program, &[("0", &DATA)]), stream(program, &[("0", 6, &DATA)])]
}

#[track_caller]
fn refused_in_both(program: &[u8], text: &str) {
    for file in both(program) {
        let error = refused("pytorch_model.bin", &file);
        assert!(error.contains(text), "expected `{text}` in `{error}`");
    }
    assert_memory_is_bounded();
}

#[test]
fn the_builders_build_what_is_read() {
    for file in both(&one_tensor(FLOATS, 0, &[2, 3], &[3, 1])) {
        assert_eq!(read("pytorch_model.bin", &file).unwrap(), 1);
    }
}

#[test]
fn no_program_calls_anything() {
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("__builtin__", "exec"),
        ("subprocess", "Popen"),
        ("torch.storage", "_load_from_bytes"),
        ("torch", "load"),
        ("torch.nn.modules.linear", "Linear"),
        ("collections", "defaultdict"),
        ("numpy.core.multiarray", "_reconstruct"),
    ] {
        let expected = format!("the file asks for `{module}.{name}`, which attar does not run: convert the file");
        // The classical form, and that of newer protocols.
        let call = Program::new().global(module, name).op(b"(").text("true").op(b"tR").stop();
        refused_in_both(&call, &expected);
        let call = Program::new().text(module).text(name).op(b"\x93(").text("true").op(b"tR").stop();
        refused_in_both(&call, &expected);
        // Hidden as the storage class of a tensor, and as the state of one.
        let hidden = Program::new().op(b"}").text("w").op(b"(").text("storage").global(module, name).stop();
        refused_in_both(&hidden, &expected);
    }
    // Instructions that make objects of classes.
    for instruction in [b'i', b'o', 0x81, 0x92, 0x82, b'P', b'I', b'S', b'V', 0x8b, 0x8e, 0x96, 0x97, 0x8f] {
        let expected = format!("unsupported pickle instruction 0x{instruction:02x}");
        refused_in_both(&Program::new().op(&[instruction]).stop(), &expected);
    }
    let long_name = Program::new().op(b"c").op(&[b'a'; 1 << 16]).stop();
    refused_in_both(&long_name, "expected a name that ends with its line");
}

#[test]
fn types_are_not_confused() {
    for (what, program) in [
        ("a function to call", Program::new().int(1).op(b")R")),
        ("the arguments of this function", Program::new().global("torch", "FloatStorage").op(b")R")),
        ("the arguments of this function", Program::new().global("torch._utils", "_rebuild_tensor_v2").op(b")R")),
        ("the storage of a tensor", Program::new().global("torch._utils", "_rebuild_tensor_v2").op(b"(])))tR")),
        ("the tensor of a parameter", Program::new().global("torch._utils", "_rebuild_parameter").op(b"]\x85R")),
        ("the description of a storage", Program::new().op(b")Q")),
        (
            "the type of a storage",
            Program::new().op(b"(").text("storage").text("x").text("0").text("cpu").int(1).op(b"tQ"),
        ),
        ("a tuple", Program::new().int(1).op(b"Q")),
        ("a list to append to", Program::new().op(b"})a")),
        ("a dictionary to fill", Program::new().op(b"]))s")),
        ("a value for each key", Program::new().op(b"}()u")),
        ("an object to set a state on", Program::new().int(1).op(b"}b")),
        ("a value remembered before", Program::new().op(b"h\x07")),
        ("two names", Program::new().int(1).int(2).op(b"\x93")),
        ("a value on the stack", Program::new().op(b"0")),
        // A mark hides what lies below it.
        ("a value on the stack", Program::new().op(b"}(s")),
        ("more values on the stack", Program::new().op(b"}(\x86")),
        ("a mark on the stack", Program::new().op(b"}u")),
        ("a number from 0", Program(one_tensor(FLOATS, -1, &[1], &[1]))),
        ("a number from 0", Program(one_tensor(FLOATS, 0, &[-1], &[1]))),
        ("at most 64 dimensions", Program(one_tensor(FLOATS, 0, &[1; 65], &[1; 65]))),
    ] {
        refused_in_both(&program.stop(), what);
    }
    refused_in_both(&Program::new().op(b"]").stop(), "holds no dictionary of tensors");
    refused_in_both(&Program::new().int(3).stop(), "holds no dictionary of tensors");
}

#[test]
fn lengths_that_are_not_there() {
    for program in [
        Program::new().op(b"X\xff\xff\xff\xff"),
        Program::new().op(b"T\xff\xff\xff\xff"),
        Program::new().op(b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff"),
        Program::new().op(b"\x8a\xff"),
    ] {
        refused_in_both(&program.0, "inside the pickle");
    }
}

#[test]
fn endless_and_deep_programs_end() {
    let repeated = |bytes: &[u8], times: usize| Program(vec![0x80, 2]).op(&bytes.repeat(times));
    let limit = "takes more than 262144 steps";
    // A stack, marks, a memo, tuples in tuples, objects: twice as many as are allowed.
    refused_in_both(&repeated(b"N", 1 << 19).stop(), limit);
    refused_in_both(&repeated(b"(", 1 << 19).stop(), limit);
    refused_in_both(&repeated(b"}", 1 << 19).stop(), limit);
    refused_in_both(&repeated(b"N2", 1 << 18).stop(), limit);
    refused_in_both(&Program(vec![0x80, 2]).op(b")").op(&[0x85; 1 << 19]).stop(), limit);
    let memo: Vec<u8> = (0..1u32 << 18).flat_map(|i| [&b"r"[..], &(u32::MAX - i).to_le_bytes()].concat()).collect();
    refused_in_both(&Program::new().op(b"N").op(&memo).stop(), limit);
    // Half as deep is allowed, and nothing recurses into it.
    refused_in_both(&Program(vec![0x80, 2]).op(b")").op(&[0x85; 1 << 17]).stop(), "holds no dictionary");
    // A dictionary that holds itself.
    let own = Program::new().op(b"}q\x00").text("self").op(b"h\x00s").stop();
    for file in both(&own) {
        let error = read("pytorch_model.bin", &file);
        // The stream's storage is never mentioned by the program.
        assert!(error.is_ok_and(|count| count == 0) || file.starts_with(&[0x80]));
    }
    // One long list as the items of a thousand dictionaries: the first takes it.
    let list = Program::new().op(b"](").op(&b"NN\x86".repeat(10_000)).op(b"eq\x00").op(b"0");
    let dictionary = Program(Vec::new()).global("collections", "OrderedDict").op(b"h\x00\x85R").0;
    let many = list.op(&dictionary.repeat(10_000)).stop();
    for file in both(&many) {
        _ = read("pytorch_model.bin", &file);
    }
    assert_memory_is_bounded();
}

#[test]
fn views_beyond_their_storage() {
    let huge = 1i64 << 40;
    for (offset, shape, strides, text) in [
        (0, &[huge][..], &[0][..], "has more elements than its storage of 6 elements"),
        (0, &[huge, huge, huge], &[0, 0, 0], "has more elements"),
        (0, &[7], &[1], "has more elements"),
        (0, &[3], &[3], "reaches beyond"),
        (6, &[1], &[1], "reaches beyond"),
        (6, &[], &[], "reaches beyond"),
        (i64::MAX, &[1], &[1], "reaches beyond"),
        (0, &[2], &[i64::MAX], "reaches beyond"),
        (1, &[2, 3], &[3, 1], "tensor `w` (offset 1, shape [2, 3], strides [3, 1]) reaches beyond"),
        (0, &[2], &[1, 1], "shape and strides of different lengths"),
    ] {
        refused_in_both(&one_tensor(FLOATS, offset, shape, strides), text);
    }
    // As many views of the whole storage as one likes: none is decoded before it is asked for.
    let start = Program::new().op(b"}(");
    let many = (0..1000).fold(start, |program, i| program.text(&format!("{i}")).tensor(FLOATS, 0, &[6], &[1]));
    for file in both(&many.op(b"u").stop()) {
        assert_eq!(read("pytorch_model.bin", &file).unwrap(), 1000);
    }
}

#[test]
fn storages_that_lie() {
    let claimed = |count| one_tensor(Storage("FloatStorage", "0", count), 0, &[1], &[1]);
    for count in [5, 7, 1 << 40, i64::MAX] {
        let expected = (count as u64).saturating_mul(4);
        refused_in_both(&claimed(count), &format!("the storage `0` has 24 bytes, expected {expected}"));
        // The stream's own count may agree with the lie; fewer than there are is no harm.
        if count > 6 {
            let error = refused("pytorch_model.bin", &stream(&claimed(count), &[("0", count as u64, &DATA)]));
            assert!(error.contains("inside a storage"), "{error}");
        }
    }
    refused_in_both(&claimed(-1), "a number from 0");
    refused_in_both(&one_tensor(Storage("FloatStorage", "1", 6), 0, &[1], &[1]), "is not in the file");
    let two = Program::new()
        .op(b"}(")
        .text("a")
        .tensor(FLOATS, 0, &[6], &[1])
        .text("b")
        .tensor(Storage("DoubleStorage", "0", 3), 0, &[3], &[1])
        .op(b"u")
        .stop();
    refused_in_both(&two, "the storage `0` is described in two ways");

    // A part outside its storage (streams of old versions).
    let part = Program::new()
        .op(b"(")
        .text("storage")
        .global("torch", "FloatStorage")
        .text("0")
        .text("cpu")
        .int(6)
        .op(b"(")
        .text("1")
        .int(5)
        .int(2)
        .op(b"ttQ")
        .stop();
    refused_in_both(&part, "a part inside its storage");
}

#[test]
fn streams_of_another_kind() {
    let good = one_tensor(FLOATS, 0, &[6], &[1]);
    let error = refused("pytorch_model.bin", &[&stream_start(1000)[..], &good].concat());
    assert!(error.contains("version 1000, expected 1001"), "{error}");
    let file = stream(&good, &[("0", 6, &DATA)]);
    let big: Vec<u8> = {
        let at = file.windows(13).position(|window| window == b"little_endian").unwrap() + 13;
        let mut file = file.clone();
        file[at] = 0x89;
        file
    };
    assert!(refused("pytorch_model.bin", &big).contains("big-endian"));
    for text in ["", "\u{80}", "not a model", "<!DOCTYPE html>"] {
        let error = refused("pytorch_model.bin", text.as_bytes());
        assert!(error.contains("neither a zip archive nor a PyTorch stream"), "{error}");
    }
}

#[test]
fn archives_that_lie() {
    let good = one_tensor(FLOATS, 0, &[6], &[1]);
    for (text, entries) in [
        ("has 0 entries data.pkl", vec![("m/other", &good[..])]),
        ("has 2 entries data.pkl", vec![("a/data.pkl", &good), ("b/data.pkl", &good)]),
        ("TorchScript", vec![("m/data.pkl", &good), ("m/constants.pkl", b"")]),
        ("big-endian", vec![("m/data.pkl", &good), ("m/data/0", &DATA), ("m/byteorder", b"big")]),
        ("is not in the file", vec![("m/data.pkl", &good), ("n/data/0", &DATA)]),
    ] {
        let error = refused("pytorch_model.bin", &zip_with(&entries));
        assert!(error.contains(text), "expected `{text}` in `{error}`");
    }

    // The directory's entry of the storage claims other sizes, another method, another place.
    let file = zip_file(&good, &[("0", &DATA)]);
    let directory = file.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    assert_eq!(&file[directory + 46..directory + 54], b"m/data/0");
    for (at, bytes) in [
        (10, &[8, 0][..]),
        (20, &[0xff, 0xff, 0xff, 0x7f]),
        (24, &[0xff, 0xff, 0xff, 0x7f]),
        (20, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        (20, &[0xf0, 0xff, 0xff, 0x00, 0xf0, 0xff, 0xff, 0x00]),
        (20, &[4, 0, 0, 0, 4, 0, 0, 0]),
        (42, &[0xff, 0xff, 0xff, 0x7f]),
        (8, &[1, 0]),
    ] {
        let mut lying = file.clone();
        lying[directory + at..directory + at + bytes.len()].copy_from_slice(bytes);
        refused("pytorch_model.bin", &lying);
    }
    // The end record claims more entries than there are.
    let mut lying = file.clone();
    let end = lying.len() - 22;
    lying[end + 8..end + 12].copy_from_slice(&[0xfe, 0xff, 0xfe, 0xff]);
    refused("pytorch_model.bin", &lying);
    assert_memory_is_bounded();
}

/// A training checkpoint: other things, and the model in a dictionary of its own.
fn checkpoint(keys: &[&str]) -> Vec<u8> {
    let start = Program::new().op(b"}").text("epoch").int(3).op(b"s");
    let program = keys
        .iter()
        .fold(start, |program, key| program.text(key).op(b"}").text("w").tensor(FLOATS, 0, &[2, 3], &[3, 1]).op(b"ss"));
    program.stop()
}

#[test]
fn the_model_inside_a_checkpoint_is_found() {
    for keys in [&["state_dict"][..], &["model_state_dict"], &["anything"], &["ema", "model"]] {
        for file in both(&checkpoint(keys)) {
            let file = attar_model::WeightsFile::from_bytes("pytorch_model.bin".as_ref(), file).unwrap();
            assert_eq!(file.tensor("w").unwrap().shape(), [2, 3]);
            assert_eq!(file.others()[0], "epoch");
            assert_eq!(file.others().len(), keys.len());
        }
    }
    let several = "the file holds several dictionaries of tensors (ema, swa): save the one of the model alone";
    refused_in_both(&checkpoint(&["ema", "swa"]), several);
}

/// Many tensors that are one storage: little on the disk, much in memory.
#[test]
fn shared_storages_are_bounded_together() {
    let names: Vec<String> = (0..40).map(|number| format!("w{number}")).collect();
    let start = Program::new().op(b"}");
    let storage = Storage("FloatStorage", "0", 25_000);
    let program = names
        .iter()
        .fold(start, |program, name| program.text(name).tensor(storage, 0, &[250, 100], &[100, 1]).op(b"s"));
    let bytes = zip_file(&program.stop(), &[("0", &[0; 100_000])]);
    let file = attar_model::WeightsFile::from_bytes("pytorch_model.bin".as_ref(), bytes).unwrap();
    let error = file.all_floats().unwrap_err().to_string();
    assert!(error.contains("its tensors share numbers and take 4000000"), "{error}");
    assert_eq!(file.floats("w7").unwrap().data.len(), 25_000);
}
