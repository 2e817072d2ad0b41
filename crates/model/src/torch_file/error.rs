//! Errors of PyTorch files.

/// Why bytes are not a PyTorch file of weights, or not one that attar reads.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TorchError {
    /// Neither container.
    #[error("the file is neither a zip archive nor a PyTorch stream: convert it to safetensors")]
    NotTorch,
    /// This build reads no PyTorch files.
    #[error(
        "PyTorch's files are not read by this build: write the model as safetensors, or in one file with `attar export single`"
    )]
    LeftOut,
    /// The zip archive is damaged.
    #[error("the zip archive is damaged: download the file again")]
    Zip {
        /// What is wrong with it.
        source: zip::result::ZipError,
    },
    /// An archive without the pickle every PyTorch file has, or with several.
    #[error("the archive has {count} entries data.pkl, expected 1: it is not a file of weights")]
    NoPickle {
        /// How many there are.
        count: usize,
    },
    /// A TorchScript archive holds a program, not weights.
    #[error("the file is a TorchScript program: save the model's state_dict, or convert it to safetensors")]
    TorchScript,
    /// An entry of the archive is compressed or encrypted.
    #[error("the entry `{entry}` is compressed or encrypted, which torch.save never does: save the file again")]
    Compressed {
        /// Name in the archive.
        entry: String,
    },
    /// An entry of the archive does not lie inside the file.
    #[error("the entry `{entry}` claims bytes beyond the end of the file: download it again")]
    EntryOutside {
        /// Name in the archive.
        entry: String,
    },
    /// The numbers are stored most significant byte first.
    #[error("the numbers are big-endian: save the file on a little-endian machine, or convert it to safetensors")]
    BigEndian,
    /// The file ends early.
    #[error("the file ends at byte {at} inside {what}: download it again")]
    Truncated {
        /// Where in the file or pickle.
        at: usize,
        /// Inside what.
        what: &'static str,
    },
    /// The stream is of another version.
    #[error("the stream has version {got}, expected 1001: convert the file to safetensors")]
    Version {
        /// The version in the file.
        got: i64,
    },
    /// The program uses an instruction that no file of weights needs.
    #[error("unsupported pickle instruction 0x{instruction:02x} at byte {at}: convert the file to safetensors")]
    Instruction {
        /// The instruction.
        instruction: u8,
        /// Where in the pickle.
        at: usize,
    },
    /// The program asks for a function or class that no file of weights needs. It is not run.
    #[error("the file asks for `{module}.{name}`, which attar does not run: convert the file to safetensors")]
    Global {
        /// Python module.
        module: String,
        /// Name in the module.
        name: String,
    },
    /// The program is invalid.
    #[error("damaged pickle: expected {expected} at byte {at}")]
    Pickle {
        /// What should be there.
        expected: &'static str,
        /// Where in the pickle.
        at: usize,
    },
    /// The program is longer than that of any file of weights.
    #[error("the pickle takes more than {limit} steps: it is not a file of weights")]
    TooLong {
        /// Largest number of steps.
        limit: usize,
    },
    /// What the program builds is not a dictionary.
    #[error("the file holds no dictionary of tensors: save the model's state_dict")]
    NotADictionary,
    /// Several dictionaries of tensors, none of which is known to be the model.
    #[error("the file holds several dictionaries of tensors ({}): save the one of the model alone", keys.join(", "))]
    Nested {
        /// Their names.
        keys: Vec<String>,
    },
    /// A storage is mentioned twice with different sizes or types.
    #[error("the storage `{key}` is described in two ways: the file is damaged")]
    Ambiguous {
        /// Its key.
        key: String,
    },
    /// A storage is mentioned but not in the file.
    #[error("the storage `{key}` is not in the file: download it again")]
    NoStorage {
        /// Its key.
        key: String,
    },
    /// A storage has another length than the program says.
    #[error("the storage `{key}` has {got} bytes, expected {expected}: the file is damaged")]
    StorageLength {
        /// Its key.
        key: String,
        /// Bytes by the program.
        expected: u64,
        /// Bytes in the file.
        got: u64,
    },
    /// A tensor is outside its storage.
    #[error(
        "tensor `{tensor}` (offset {offset}, shape {shape:?}, strides {strides:?}) {problem} \
         its storage of {elements} elements: the file is damaged"
    )]
    View {
        /// Its name.
        tensor: String,
        /// First element in the storage.
        offset: usize,
        /// Its shape.
        shape: Box<[usize]>,
        /// Its strides in elements.
        strides: Box<[usize]>,
        /// What is wrong.
        problem: &'static str,
        /// Length of the storage.
        elements: usize,
    },
}
