//! The calls a program of weights makes, each of which builds a value.

use super::{Object, PickleMachine, StackValue, StorageRef, View};
use crate::torch_file::error::TorchError;
use crate::torch_file::globals::Global;

impl<'a> PickleMachine<'a> {
    /// A persistent id: `("storage", class, key, device, count)` and, in streams, a part `(key, first, count)`.
    pub(super) fn push_storage(&mut self, id: StackValue<'a>) -> Result<(), TorchError> {
        let (class, key, count, part) = match *self.tuple(id)? {
            [StackValue::Text("storage"), class, StackValue::Text(key), _device, count] => {
                (class, key, count, StackValue::None)
            }
            [StackValue::Text("storage"), class, StackValue::Text(key), _device, count, part] => {
                (class, key, count, part)
            }
            _ => return Err(self.damaged("the description of a storage")),
        };
        let StackValue::Global(Global::Storage(element)) = class else {
            return Err(self.damaged("the type of a storage"));
        };
        let count = self.size(count)?;
        let part = match part {
            StackValue::None => (0, count),
            part => match *self.tuple(part)? {
                [_key, first, length] => (self.size(first)?, self.size(length)?),
                _ => return Err(self.damaged("the part of a storage")),
            },
        };
        if part.0.checked_add(part.1).is_none_or(|end| end > count) {
            return Err(self.damaged("a part inside its storage"));
        }
        self.push_object(Object::Storage(StorageRef { key, element, count, part }));
        Ok(())
    }

    pub(super) fn reduce(&mut self, function: StackValue<'a>, arguments: StackValue<'a>) -> Result<(), TorchError> {
        let StackValue::Global(global) = function else { return Err(self.damaged("a function to call")) };
        match (global, self.tuple(arguments)?) {
            (Global::OrderedDict, []) => self.push_object(Object::Dict(Vec::new())),
            // Python 2 gives the items at once.
            (Global::OrderedDict, &[items]) => {
                let pairs = self.take_dictionary_items(items)?;
                self.push_object(Object::Dict(pairs));
            }
            (Global::Size, &[sizes]) => {
                self.tuple(sizes)?;
                self.stack.push(sizes);
            }
            (Global::Parameter, &[tensor, ..]) => match self.object(tensor) {
                Some(Object::Tensor(_)) => self.stack.push(tensor),
                _ => return Err(self.damaged("the tensor of a parameter")),
            },
            (Global::Tensor, &[StackValue::Object(storage), offset, shape, strides, ..]) => {
                if !matches!(self.objects.get(storage), Some(Object::Storage(_))) {
                    return Err(self.damaged("the storage of a tensor"));
                }
                let offset = self.size(offset)?;
                let (shape, strides) = (self.sizes(shape)?, self.sizes(strides)?);
                self.push_object(Object::Tensor(View { storage, offset, shape, strides }));
            }
            _ => return Err(self.damaged("the arguments of this function")),
        }
        Ok(())
    }

    /// The pairs of a list. The list is emptied, so that a program cannot multiply it.
    fn take_dictionary_items(
        &mut self,
        items: StackValue<'a>,
    ) -> Result<Vec<(StackValue<'a>, StackValue<'a>)>, TorchError> {
        let items = match self.object_mut(items) {
            Some(Object::List(items)) => std::mem::take(items),
            _ => return Err(self.damaged("a list of items")),
        };
        let pair = |&item: &StackValue<'a>| match self.object(item) {
            Some(Object::Tuple(pair) | Object::List(pair)) => match **pair {
                [key, value] => Ok((key, value)),
                _ => Err(self.damaged("a pair")),
            },
            _ => Err(self.damaged("a pair")),
        };
        items.iter().map(pair).collect()
    }
}
