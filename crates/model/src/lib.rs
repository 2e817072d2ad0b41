//! What an encoder is: configuration, named weights, model directories, size and FLOPs.
