"""Small stand-ins for the files of CIFAR, written here the way they were published."""

import io
import pickle
import struct
import tarfile

import numpy as np


def pixels(labels):
    """(example, 3072): red grows downward, green to the right, blue is the label."""
    images = np.empty((len(labels), 3, 32, 32), np.uint8)
    images[:, 0] = 7 * np.arange(32)[:, None]
    images[:, 1] = 7 * np.arange(32)
    images[:, 2] = np.reshape(labels, (-1, 1, 1))
    return images.reshape(-1, 3072)


def binary(columns, images):
    """A binary batch; `columns` are the labels, by name and in order."""
    return np.column_stack([*columns.values(), images]).astype(np.uint8).tobytes()


class Python2(pickle._Pickler):
    """Protocol 2 with all text as byte strings: what Python 2 wrote, and CIFAR was written by."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_string(self, text):
        raw = text if isinstance(text, bytes) else text.encode("ascii")
        self.write(pickle.BINSTRING + struct.pack("<i", len(raw)) + raw)
        self.memoize(text)

    dispatch[bytes] = dispatch[str] = save_string


def python(columns, images):
    """A Python batch, with NumPy's module under the name it had then."""
    batch = {b"batch_label": b"some", b"data": images, b"filenames": [b"x.png"] * len(images)}
    batch |= {name.encode(): np.asarray(label).tolist() for name, label in columns.items()}
    file = io.BytesIO()
    Python2(file, protocol=2).dump(batch)
    return file.getvalue().replace(b"cnumpy._core.", b"cnumpy.core.")


def write(folder, files):
    """Save `files` (name to bytes) in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def pack(path, files, *extra):
    """Save `files` in a .tar.gz; `extra` are TarInfo of members without content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in extra:
            archive.addfile(member)
    return path
