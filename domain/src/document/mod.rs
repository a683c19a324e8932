//! VNML documents: how a request is read, split and put together again.
