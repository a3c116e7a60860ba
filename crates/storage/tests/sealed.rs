//! The laws of `SealedStore`: any range equals the plaintext's, and nothing that was touched is ever read.

use std::sync::Arc;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutPayload, WriteMultipart};
use proptest::prelude::*;
use rivergen_storage::sealed::{KeyError, KeyRing, SealedStore, is_altered};
use zeroize::Zeroizing;

const CHUNK: usize = 64 * 1024;
const HEADER: usize = 512;

/// An organization's data key, as a vault would hold it.
#[derive(Debug)]
struct OneKey([u8; 32]);

#[async_trait]
impl KeyRing for OneKey {
    async fn seal(&self, context: &[u8], file_key: &[u8; 32]) -> Result<Vec<u8>, KeyError> {
        let mut nonce = [0_u8; 12];
        rand::fill(&mut nonce[..]);
        let payload = Payload { msg: file_key, aad: context };
        let sealed = Aes256Gcm::new(&self.0.into()).encrypt(&nonce.into(), payload).map_err(|_| "cannot seal")?;
        Ok([&nonce[..], &sealed].concat())
    }

    async fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let (nonce, sealed) = sealed.split_first_chunk::<12>().ok_or("too short")?;
        let payload = Payload { msg: sealed, aad: context };
        let key = Aes256Gcm::new(&self.0.into()).decrypt(&(*nonce).into(), payload).map_err(|_| "cannot open")?;
        Ok(Zeroizing::new(key.try_into().map_err(|_| "wrong length")?))
    }
}

fn store() -> (Arc<InMemory>, SealedStore) {
    let inner = Arc::new(InMemory::new());
    let sealed = SealedStore::new(inner.clone(), Arc::new(OneKey([7; 32])));
    (inner, sealed)
}

fn plaintext(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_range_equals_the_plaintext(
        length in prop_oneof![
            0..300_usize,
            (0..4_usize, 0..3_usize).prop_map(|(chunks, off)| (chunks * CHUNK + off).saturating_sub(1)),
            0..5 * CHUNK,
        ],
        cuts in prop::collection::vec((any::<u32>(), any::<u32>()), 1..12),
        parts in prop::collection::vec(1..3 * CHUNK, 1..4),
    ) {
        runtime().block_on(async {
            let (_, store) = store();
            let plain = plaintext(length);
            let whole = Path::from("folder/whole.bin");
            let streamed = Path::from("folder/streamed.bin");
            store.put(&whole, plain.clone().into()).await.unwrap();
            let mut upload = store.put_multipart(&streamed).await.unwrap();
            let (mut rest, mut sizes) = (&plain[..], parts.iter().cycle());
            while !rest.is_empty() {
                let (part, next) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
                upload.put_part(PutPayload::from(part.to_vec())).await.unwrap();
                rest = next;
            }
            upload.complete().await.unwrap();

            let ranges: Vec<_> = cuts.iter().map(|(a, b)| {
                let (a, b) = (*a as usize % (length + 1), *b as usize % (length + 1));
                a.min(b) as u64..a.max(b) as u64
            }).collect();
            for path in [&whole, &streamed] {
                prop_assert_eq!(store.head(path).await.unwrap().size, length as u64);
                prop_assert_eq!(&store.get(path).await.unwrap().bytes().await.unwrap()[..], &plain[..]);
                let read = store.get_ranges(path, &ranges).await.unwrap();
                for (range, bytes) in ranges.iter().zip(read) {
                    prop_assert_eq!(&bytes[..], &plain[range.start as usize..range.end as usize]);
                    if !range.is_empty() {
                        let bytes = store.get_range(path, range.clone()).await.unwrap();
                        prop_assert_eq!(&bytes[..], &plain[range.start as usize..range.end as usize]);
                    }
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_flipped_bit_is_never_plaintext(length in 0..3 * CHUNK, at in any::<u32>(), bit in 0..8_u8) {
        runtime().block_on(async {
            let (inner, store) = store();
            let path = Path::from("a.bin");
            let plain = plaintext(length);
            store.put(&path, plain.clone().into()).await.unwrap();
            let mut stored = inner.get(&path).await.unwrap().bytes().await.unwrap().to_vec();
            let at = at as usize % stored.len();
            stored[at] ^= 1 << bit;
            inner.put(&path, stored.into()).await.unwrap();
            match read(&store, &path).await {
                // The header's padding carries nothing.
                Ok(bytes) => prop_assert!(at < HEADER && bytes == plain),
                Err(error) => prop_assert!(at < HEADER || is_altered(&error), "{error}"),
            }
            Ok(())
        })?;
    }
}

async fn read(store: &SealedStore, path: &Path) -> object_store::Result<Bytes> {
    store.get(path).await?.bytes().await
}

#[tokio::test]
async fn what_is_stored_is_not_the_plaintext() {
    let (inner, store) = store();
    let path = Path::from("a.txt");
    let plain = b"the quick brown fox ".repeat(10_000);
    store.put(&path, plain.clone().into()).await.unwrap();
    let stored = inner.get(&path).await.unwrap().bytes().await.unwrap();
    assert!(!stored.windows(15).any(|w| w == &plain[..15]));
    let other = SealedStore::new(inner, Arc::new(OneKey([8; 32])));
    assert!(read(&other, &path).await.is_err(), "another organization's key opens nothing");
}

#[tokio::test]
async fn swapped_objects_and_chunks_are_refused() {
    let (inner, store) = store();
    let (a, b) = (Path::from("a.bin"), Path::from("b.bin"));
    store.put(&a, plaintext(3 * CHUNK).into()).await.unwrap();
    store.put(&b, plaintext(3 * CHUNK).into()).await.unwrap();
    let stored = |path: Path| {
        let inner = inner.clone();
        async move { inner.get(&path).await.unwrap().bytes().await.unwrap() }
    };
    let (sealed_a, sealed_b) = (stored(a.clone()).await, stored(b.clone()).await);

    inner.put(&a, sealed_b.clone().into()).await.unwrap();
    assert!(read(&store, &a).await.is_err(), "an object under another path");

    let sealed_chunk = CHUNK + 16;
    let mut moved = sealed_a.to_vec();
    moved[HEADER..HEADER + 2 * sealed_chunk].rotate_left(sealed_chunk);
    inner.put(&a, moved.into()).await.unwrap();
    assert!(is_altered(&read(&store, &a).await.unwrap_err()), "two chunks in the wrong order");

    let mut mixed = sealed_a.to_vec();
    mixed[HEADER..HEADER + sealed_chunk].copy_from_slice(&sealed_b[HEADER..HEADER + sealed_chunk]);
    inner.put(&a, mixed.into()).await.unwrap();
    assert!(is_altered(&read(&store, &a).await.unwrap_err()), "another object's chunk");

    inner.put(&a, sealed_a.into()).await.unwrap();
    assert_eq!(read(&store, &a).await.unwrap(), plaintext(3 * CHUNK));
}

#[tokio::test]
async fn a_truncated_object_is_refused_even_where_the_rest_is_whole() {
    let (inner, store) = store();
    let path = Path::from("a.bin");
    store.put(&path, plaintext(3 * CHUNK + 9).into()).await.unwrap();
    let stored = inner.get(&path).await.unwrap().bytes().await.unwrap();
    let sealed_chunk = CHUNK + 16;
    for cut in [
        0,
        HEADER - 1,
        HEADER,
        HEADER + 16,
        HEADER + sealed_chunk,
        HEADER + 3 * sealed_chunk,
        HEADER + 3 * sealed_chunk + 16,
        stored.len() - 1,
    ] {
        inner.put(&path, stored.slice(..cut).into()).await.unwrap();
        let error = store.get_range(&path, 0..1).await.unwrap_err();
        assert!(is_altered(&error), "cut at {cut}: {error}");
        assert!(store.head(&path).await.is_err(), "cut at {cut}");
    }
}

#[tokio::test]
async fn sizes_ranges_and_conditions_speak_of_the_plaintext() {
    let (_, store) = store();
    let path = Path::from("dir/a.bin");
    store.put(&path, plaintext(100_000).into()).await.unwrap();
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(listed[0].size, 100_000);
    let listed = store.list_with_delimiter(Some(&Path::from("dir"))).await.unwrap();
    assert_eq!(listed.objects[0].size, 100_000);
    let suffix = GetOptions { range: Some(GetRange::Suffix(10)), ..GetOptions::default() };
    let result = store.get_opts(&path, suffix).await.unwrap();
    assert_eq!(result.range, 99_990..100_000);
    assert_eq!(result.bytes().await.unwrap(), plaintext(100_000)[99_990..]);
    assert!(store.get_range(&path, 100_000..100_001).await.is_err());
    assert!(store.get_ranges(&path, &[0..1, 5..100_001]).await.is_err());
    let again = store.put_opts(&path, "x".into(), PutMode::Create.into()).await;
    assert!(matches!(again, Err(object_store::Error::AlreadyExists { .. })));

    let copy = Path::from("dir/b.bin");
    store.copy(&path, &copy).await.unwrap();
    assert_eq!(read(&store, &copy).await.unwrap(), plaintext(100_000));
    assert!(store.copy_if_not_exists(&path, &copy).await.is_err());
    store.rename(&copy, &Path::from("c.bin")).await.unwrap();
    assert_eq!(read(&store, &Path::from("c.bin")).await.unwrap(), plaintext(100_000));
    store.delete(&path).await.unwrap();
    assert!(matches!(read(&store, &path).await, Err(object_store::Error::NotFound { .. })));
}

#[tokio::test]
async fn an_unfinished_upload_is_not_visible() {
    let directory = tempfile::tempdir().unwrap();
    let store = SealedStore::local(directory.path(), Arc::new(OneKey([1; 32]))).unwrap();
    let path = Path::from("big.bin");
    let mut upload = WriteMultipart::new(store.put_multipart(&path).await.unwrap());
    let plain = plaintext(12 * 1024 * 1024);
    upload.write(&plain);
    upload.wait_for_capacity(0).await.unwrap();
    assert_eq!(store.list(None).count().await, 0);
    assert!(store.head(&path).await.is_err());
    upload.finish().await.unwrap();
    assert_eq!(read(&store, &path).await.unwrap(), plain);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_the_old_or_the_new_object_whole() {
    let directory = tempfile::tempdir().unwrap();
    let store = SealedStore::local(directory.path(), Arc::new(OneKey([1; 32]))).unwrap();
    let path = Path::from("shared.bin");
    store.put(&path, vec![0_u8; 200_000].into()).await.unwrap();
    let writer = {
        let (store, path) = (store.clone(), path.clone());
        tokio::spawn(async move {
            for round in 1..40_u8 {
                let content = vec![round; 200_000];
                store.put(&path, content.into()).await.unwrap();
            }
        })
    };
    let readers = (0..4).map(|_| {
        let (store, path) = (store.clone(), path.clone());
        tokio::spawn(async move {
            let mut seen = 0;
            while seen < 40 {
                match store.get_ranges(&path, &[0..70_000, 190_000..200_000]).await {
                    Ok(read) => assert!(read.iter().flatten().all(|b| *b == read[0][0])),
                    // Replaced twice while being read: refused, which is allowed; mixed is not.
                    Err(object_store::Error::Precondition { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
                seen += 1;
            }
        })
    });
    for reader in futures::future::join_all(readers).await {
        reader.unwrap();
    }
    writer.await.unwrap();
}
