//! Headers that claim what is not there.

use crate::{assert_memory_is_bounded, refused};

fn file(claimed: u64, header: &str, data: &[u8]) -> Vec<u8> {
    [&claimed.to_le_bytes(), header.as_bytes(), data].concat()
}

fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    file(header.len() as u64, header, data)
}

#[test]
fn lengths_beyond_the_file() {
    for claimed in [1, 100, 99_999_999, 100_000_001, 1 << 40, u64::MAX - 8, u64::MAX] {
        let error = refused("model.safetensors", &file(claimed, "", &[]));
        assert!(error.contains(&format!("claims {claimed} bytes")), "{error}");
    }
    assert_memory_is_bounded();
}

#[test]
fn tensors_beyond_the_file() {
    for header in [
        r#"{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}"#,
        r#"{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}}"#,
        r#"{"a":{"dtype":"F32","shape":[18446744073709551615,18446744073709551615],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"F64","shape":[2305843009213693951],"data_offsets":[0,18446744073709551608]}}"#,
        r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#,
        r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}}"#,
        r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}}"#,
        r#"{"a":{"dtype":"F32","shape":[1e3],"data_offsets":[0,4000]}}"#,
        r#"{"a":null}"#,
        r#"{"a":{"dtype":"F32"}}"#,
        "[]",
        "",
    ] {
        refused("model.safetensors", &with_header(header, &[0; 4]));
    }
    assert_memory_is_bounded();
}

#[test]
fn deep_and_long_headers() {
    let deep = format!("{{\"a\":{}", "[".repeat(200_000));
    refused("model.safetensors", &with_header(&deep, &[]));
    let deep = format!("{{\"__metadata__\":{}", "{\"a\":".repeat(200_000));
    refused("model.safetensors", &with_header(&deep, &[]));
    // A name of a megabyte is odd, but honest.
    let long = format!(r#"{{"{}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}}}"#, "x".repeat(1 << 20));
    assert_eq!(crate::read("model.safetensors", &with_header(&long, &[])).unwrap(), 1);
    assert_memory_is_bounded();
}
