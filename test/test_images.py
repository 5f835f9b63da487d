# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Encodings of pictures against a picture that is known."""
import cv2
import numpy as np
import pytest

from depth_anyevent_ros.images import (
    decode_compressed, decode_image, decode_map, ENCODINGS, ImageError)

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


def encoded(encoding, big_endian=False, padding=0):
    """Return the arguments of an image of this encoding, made with numpy alone."""
    order, kind = ENCODINGS[encoding]
    channels = {'R': RGB[..., 0], 'G': RGB[..., 1], 'B': RGB[..., 2],
                'A': np.full((5, 7), 99, np.uint8), 'Y': RGB[..., 1]}
    picture = np.stack([channels[c] for c in order], -1)
    if kind == np.uint16:
        picture = (picture.astype(np.uint16) * 256 + 17).astype('>u2' if big_endian else '<u2')
    rows = picture.reshape(5, -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=7)
    return rows.tobytes(), encoding, 5, 7, rows.shape[1], big_endian


@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('encoding', ENCODINGS)
def test_every_encoding_becomes_rgb(encoding, padding, big_endian):
    found = decode_image(*encoded(encoding, big_endian, padding))
    grey = ENCODINGS[encoding][0] == 'Y'
    np.testing.assert_array_equal(found, RGB[..., [1, 1, 1]] if grey else RGB)
    assert found.dtype == np.uint8 and found.flags.c_contiguous and found.flags.writeable


def test_the_last_row_may_lack_its_padding():
    data, *rest = encoded('rgb8', padding=3)
    np.testing.assert_array_equal(decode_image(data[:-3], *rest), RGB)


@pytest.mark.parametrize('missing', [0, 6])
def test_the_last_row_of_a_map_may_lack_its_padding_too(missing):
    values = np.arange(12, dtype='<f4').reshape(3, 4)
    values[1, 2] = np.inf
    rows = np.pad(values.view(np.uint8), ((0, 0), (0, 6)), constant_values=7).tobytes()
    found = decode_map(rows[:len(rows) - missing], '32FC1', 3, 4, 22)
    np.testing.assert_array_equal(found, np.where(np.isfinite(values), values, np.nan))
    with pytest.raises(ImageError, match='rows of 22 bytes and 59 bytes'):
        decode_map(rows[:-7], '32FC1', 3, 4, 22)


@pytest.mark.parametrize('change, words', [
    ({'encoding': 'yuv422_yuy2'}, 'yuv422_yuy2'), ({'step': 20}, 'rows of 20 bytes'),
    ({'data': b'12'}, '2 bytes in all'), ({'height': 0}, '7x0'), ({'width': 99999}, '99999x5')])
def test_what_does_not_fit_is_refused_in_a_sentence(change, words):
    names = ('data', 'encoding', 'height', 'width', 'step', 'is_bigendian')
    with pytest.raises(ImageError, match=words):
        decode_image(**{**dict(zip(names, encoded('rgb8'))), **change})


def test_compressed_pictures():
    done, data = cv2.imencode('.png', RGB[..., ::-1])
    np.testing.assert_array_equal(decode_compressed(data.tobytes()), RGB)
    for bad in (b'', b'no picture', data.tobytes()[:20]):
        with pytest.raises(ImageError, match='neither JPEG nor PNG'):
            decode_compressed(bad)
