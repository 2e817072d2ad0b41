//! A pickle machine that can build values and nothing else.
//!
//! Python's pickle is a stack machine whose `REDUCE` calls any function by name. Here a name is one of the
//! enum [`Global`], and "calling" one builds a value of the enum [`Object`]; there is no way from a file to
//! code. Bounds: at most [`STEP_LIMIT`] instructions, each of which pushes at most one value, so stack, memo
//! and objects are bounded too; strings are slices of the file; objects refer to each other by index, so
//! nothing is recursive, whatever the nesting.

mod calls;

use std::collections::BTreeMap;

use super::error::TorchError;
use super::globals::Global;
use crate::stored::ElementType;

/// Most instructions of a program. BERT-large takes some 12,000; this is enough for 8,000 tensors.
const STEP_LIMIT: usize = 1 << 18;

/// Most dimensions of a tensor, in PyTorch too.
const RANK_LIMIT: usize = 64;

/// A value on the stack: a number, a slice of the file, or the index of an [`Object`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum StackValue<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// A whole number of more than 64 bits or a float: legal, and of no use in a file of weights.
    Number,
    Text(&'a str),
    Global(Global),
    Object(usize),
}

/// A value with parts.
#[derive(Debug)]
pub(super) enum Object<'a> {
    Tuple(Vec<StackValue<'a>>),
    List(Vec<StackValue<'a>>),
    /// Keys and values in the order in which they were set.
    Dict(Vec<(StackValue<'a>, StackValue<'a>)>),
    Storage(StorageRef<'a>),
    Tensor(View),
}

/// A storage the program refers to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct StorageRef<'a> {
    pub(super) key: &'a str,
    pub(super) element: ElementType,
    /// Length of the whole storage, in elements.
    pub(super) count: usize,
    /// First element and length of the part that is meant (streams of old versions have parts).
    pub(super) part: (usize, usize),
}

/// A tensor as the program describes it; offset and strides in elements.
#[derive(Debug)]
pub(super) struct View {
    /// Index of an [`Object::Storage`].
    pub(super) storage: usize,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// What a program has built.
#[derive(Debug)]
pub(super) struct Pickled<'a> {
    pub(super) objects: Vec<Object<'a>>,
    pub(super) root: StackValue<'a>,
    /// Length of the program in bytes.
    pub(super) length: usize,
}

/// Runs the program at the start of `bytes`.
pub(super) fn run(bytes: &[u8]) -> Result<Pickled<'_>, TorchError> {
    let mut machine = PickleMachine {
        bytes,
        at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: BTreeMap::new(),
        objects: Vec::new(),
    };
    for _ in 0..STEP_LIMIT {
        if let Some(root) = machine.step()? {
            return Ok(Pickled { objects: machine.objects, root, length: machine.at });
        }
    }
    Err(TorchError::TooLong { limit: STEP_LIMIT })
}

struct PickleMachine<'a> {
    bytes: &'a [u8],
    /// The next byte to be read.
    at: usize,
    stack: Vec<StackValue<'a>>,
    /// Heights of the stack at each open `MARK`.
    marks: Vec<usize>,
    memo: BTreeMap<u32, StackValue<'a>>,
    objects: Vec<Object<'a>>,
}

impl<'a> PickleMachine<'a> {
    /// Runs one instruction; the result of the program if it was the last.
    fn step(&mut self) -> Result<Option<StackValue<'a>>, TorchError> {
        let at = self.at;
        let [instruction] = self.take_array()?;
        match instruction {
            b'.' => return self.pop().map(Some),
            // Protocol and frames: nothing to do.
            0x80 => _ = self.take_array::<1>()?,
            0x95 => _ = self.take_array::<8>()?,

            b'(' => self.marks.push(self.stack.len()),
            b'0' => _ = self.pop()?,
            b'1' => _ = self.pop_to_mark()?,
            b'2' => self.stack.push(self.top()?),

            b'N' => self.stack.push(StackValue::None),
            0x88 => self.stack.push(StackValue::Bool(true)),
            0x89 => self.stack.push(StackValue::Bool(false)),
            b'K' => self.push_int(|[byte]: [u8; 1]| i64::from(byte))?,
            b'M' => self.push_int(|bytes| i64::from(u16::from_le_bytes(bytes)))?,
            b'J' => self.push_int(|bytes| i64::from(i32::from_le_bytes(bytes)))?,
            0x8a => {
                let [length] = self.take_array()?;
                self.push_long(length.into())?;
            }
            b'G' => {
                self.take_array::<8>()?;
                self.stack.push(StackValue::Number);
            }

            b'U' | 0x8c => {
                let [length] = self.take_array()?;
                self.push_text(length.into())?;
            }
            b'T' | b'X' => {
                let length = u32::from_le_bytes(self.take_array()?);
                self.push_text(length.into())?;
            }
            0x8d => {
                let length = u64::from_le_bytes(self.take_array()?);
                self.push_text(length)?;
            }

            b')' => self.push_object(Object::Tuple(Vec::new())),
            0x85 => self.push_tuple(1)?,
            0x86 => self.push_tuple(2)?,
            0x87 => self.push_tuple(3)?,
            b't' => {
                let items = self.pop_to_mark()?;
                self.push_object(Object::Tuple(items));
            }
            b']' => self.push_object(Object::List(Vec::new())),
            b'l' => {
                let items = self.pop_to_mark()?;
                self.push_object(Object::List(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
            }
            b'}' => self.push_object(Object::Dict(Vec::new())),
            b'd' => {
                let items = self.pop_to_mark()?;
                let pairs = self.pairs(&items)?;
                self.push_object(Object::Dict(pairs));
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)?;
            }

            b'q' => {
                let [index] = self.take_array()?;
                self.memo.insert(index.into(), self.top()?);
            }
            b'r' => {
                let index = u32::from_le_bytes(self.take_array()?);
                self.memo.insert(index, self.top()?);
            }
            // The memo has no more entries than there were steps.
            0x94 => _ = self.memo.insert(self.memo.len() as u32, self.top()?),
            b'h' => {
                let [index] = self.take_array()?;
                self.push_memo(index.into())?;
            }
            b'j' => {
                let index = u32::from_le_bytes(self.take_array()?);
                self.push_memo(index)?;
            }

            b'c' => {
                let (module, name) = (self.take_line()?, self.take_line()?);
                self.stack.push(StackValue::Global(Global::of(module, name)?));
            }
            0x93 => {
                let (StackValue::Text(name), StackValue::Text(module)) = (self.pop()?, self.pop()?) else {
                    return Err(self.damaged("two names"));
                };
                self.stack.push(StackValue::Global(Global::of(module, name)?));
            }
            b'Q' => {
                let id = self.pop()?;
                self.push_storage(id)?;
            }
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.reduce(function, arguments)?;
            }
            // State set on an object: the `_metadata` of a state dict, which nothing here needs.
            b'b' => {
                self.pop()?;
                if !matches!(self.top()?, StackValue::Object(_)) {
                    return Err(self.damaged("an object to set a state on"));
                }
            }
            _ => return Err(TorchError::Instruction { instruction, at }),
        }
        Ok(None)
    }

    fn damaged(&self, expected: &'static str) -> TorchError {
        TorchError::Pickle { expected, at: self.at }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], TorchError> {
        let end = self.at.checked_add(length);
        match end.and_then(|end| self.bytes.get(self.at..end)) {
            Some(taken) => {
                self.at += length;
                Ok(taken)
            }
            None => Err(TorchError::Truncated { at: self.bytes.len(), what: "the pickle" }),
        }
    }

    fn take_array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], TorchError> {
        let taken = self.take(LENGTH)?;
        taken.try_into().map_err(|_| self.damaged("more bytes"))
    }

    fn take_line(&mut self) -> Result<&'a str, TorchError> {
        // No name of a Python module or class comes near this length.
        const LINE_LIMIT: usize = 1 << 10;
        let rest = &self.bytes[self.at..];
        let Some(length) = rest.iter().take(LINE_LIMIT).position(|&byte| byte == b'\n') else {
            return Err(self.damaged("a name that ends with its line"));
        };
        let line = self.take(length + 1)?;
        std::str::from_utf8(&line[..length]).map_err(|_| self.damaged("a name in UTF-8"))
    }

    fn top(&self) -> Result<StackValue<'a>, TorchError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(&value) if self.stack.len() > floor => Ok(value),
            _ => Err(self.damaged("a value on the stack")),
        }
    }

    fn pop(&mut self) -> Result<StackValue<'a>, TorchError> {
        let value = self.top()?;
        self.stack.pop();
        Ok(value)
    }

    /// The last `count` values, in the order in which they were pushed.
    fn pop_many(&mut self, count: usize) -> Result<Vec<StackValue<'a>>, TorchError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= floor => Ok(self.stack.split_off(start)),
            _ => Err(self.damaged("more values on the stack")),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<StackValue<'a>>, TorchError> {
        match self.marks.pop() {
            // No instruction pops below an open mark.
            Some(mark) => Ok(self.stack.split_off(mark.min(self.stack.len()))),
            None => Err(self.damaged("a mark on the stack")),
        }
    }

    fn push_int<const LENGTH: usize>(&mut self, decode: impl Fn([u8; LENGTH]) -> i64) -> Result<(), TorchError> {
        let bytes = self.take_array()?;
        self.stack.push(StackValue::Int(decode(bytes)));
        Ok(())
    }

    /// A whole number of up to 255 bytes, two's complement, least significant byte first.
    fn push_long(&mut self, length: usize) -> Result<(), TorchError> {
        let bytes = self.take(length)?;
        let value = if length > 8 {
            StackValue::Number
        } else {
            let sign = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
            let mut wide = [sign; 8];
            wide[..length].copy_from_slice(bytes);
            StackValue::Int(i64::from_le_bytes(wide))
        };
        self.stack.push(value);
        Ok(())
    }

    fn push_text(&mut self, length: u64) -> Result<(), TorchError> {
        let bytes = self.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.damaged("text in UTF-8"))?;
        self.stack.push(StackValue::Text(text));
        Ok(())
    }

    fn push_object(&mut self, object: Object<'a>) {
        self.stack.push(StackValue::Object(self.objects.len()));
        self.objects.push(object);
    }

    fn push_tuple(&mut self, count: usize) -> Result<(), TorchError> {
        let items = self.pop_many(count)?;
        self.push_object(Object::Tuple(items));
        Ok(())
    }

    fn push_memo(&mut self, index: u32) -> Result<(), TorchError> {
        match self.memo.get(&index) {
            Some(&value) => {
                self.stack.push(value);
                Ok(())
            }
            None => Err(self.damaged("a value remembered before")),
        }
    }

    fn append(&mut self, mut items: Vec<StackValue<'a>>) -> Result<(), TorchError> {
        let list = self.top()?;
        match self.object_mut(list) {
            Some(Object::List(list)) => {
                list.append(&mut items);
                Ok(())
            }
            _ => Err(self.damaged("a list to append to")),
        }
    }

    fn set_items(&mut self, items: &[StackValue<'a>]) -> Result<(), TorchError> {
        let mut pairs = self.pairs(items)?;
        let dict = self.top()?;
        match self.object_mut(dict) {
            Some(Object::Dict(dict)) => {
                dict.append(&mut pairs);
                Ok(())
            }
            _ => Err(self.damaged("a dictionary to fill")),
        }
    }

    fn pairs(&self, items: &[StackValue<'a>]) -> Result<Vec<(StackValue<'a>, StackValue<'a>)>, TorchError> {
        match items.as_chunks::<2>() {
            (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
            _ => Err(self.damaged("a value for each key")),
        }
    }

    fn object(&self, value: StackValue<'a>) -> Option<&Object<'a>> {
        match value {
            StackValue::Object(index) => self.objects.get(index),
            _ => None,
        }
    }

    fn object_mut(&mut self, value: StackValue<'a>) -> Option<&mut Object<'a>> {
        match value {
            StackValue::Object(index) => self.objects.get_mut(index),
            _ => None,
        }
    }

    fn tuple(&self, value: StackValue<'a>) -> Result<&[StackValue<'a>], TorchError> {
        match self.object(value) {
            Some(Object::Tuple(items)) => Ok(items),
            _ => Err(self.damaged("a tuple")),
        }
    }

    fn size(&self, value: StackValue<'a>) -> Result<usize, TorchError> {
        match value {
            StackValue::Int(number) => usize::try_from(number).map_err(|_| self.damaged("a number from 0")),
            _ => Err(self.damaged("a whole number")),
        }
    }

    /// Shape or strides. The bound keeps a program from copying one long tuple into many tensors.
    fn sizes(&self, value: StackValue<'a>) -> Result<Vec<usize>, TorchError> {
        let sizes = self.tuple(value)?;
        if sizes.len() > RANK_LIMIT {
            return Err(self.damaged("at most 64 dimensions"));
        }
        sizes.iter().map(|&item| self.size(item)).collect()
    }
}
