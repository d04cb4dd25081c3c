"""Pictures of scans, of evidence on scans, of filters and of feature maps, encoded from arrays alone.

No picture holds metadata, and equal arrays give equal bytes. Maps of one method share one display scale over the
cohort, so that a weak map stays pale beside a strong one; nothing is stretched to full color picture by picture.

Axes: H, W pixels of the network's input; C channels; N filters.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from scanlens.files import write_bytes
from scanlens.report.palette import evidence_alpha, evidence_rgb

MIN_WIDTH = 320  # smaller pictures are enlarged by a whole factor, so that each source pixel keeps its place
PICTURE_NOTICE = "Research only - not for diagnosis"
MIN_NOTICE_WIDTH = 192
_NOTICE_GROUND = 24
BLANK_SHARE = 1e-3  # a map below this share of the display scale moves no pixel by one gray level
UNINFORMATIVE = "uninformative map"
MAX_TILES = 64
_LINE_PX = 3  # of an outline, beyond the region
_LINE_RGB = (1.0, 0.9, 0.2)

Array = NDArray[np.floating]


def display_scale(maps: Sequence[Array]) -> float:
    """The |value| shown in full color: the 99.5th percentile over all maps of a method, positive also if all maps are blank."""
    values = [np.abs(np.asarray(one, dtype=np.float64)).ravel() for one in maps]
    pooled = np.concatenate(values) if values else np.zeros(1)
    pooled = pooled[np.isfinite(pooled)]
    if pooled.size == 0 or pooled.max() <= 0:
        return 1.0
    scale = float(np.percentile(pooled, 99.5))
    return scale if scale > 0 else float(pooled.max())


def write_png(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write (H, W) or (H, W, 3) as a PNG without metadata."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=6)
    write_bytes(path, buffer.getvalue())


def finished_png(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write (H, W), (H, W, 3) or (H, W, 4) as `write_png` does, with the notice in a strip below the picture, never over it.

    The picture is at the upper left, with its own pixels; on the right of one narrower than the notice the ground is dark.
    """
    write_png(noticed(pixels), path)


def noticed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The pixels of `finished_png`."""
    height, width = pixels.shape[:2]
    wide = max(width, MIN_NOTICE_WIDTH)
    size = max(10, wide // 30)
    strip = Image.new("L", (wide, 2 * size), _NOTICE_GROUND)
    font = ImageFont.load_default(size=size)
    ImageDraw.Draw(strip).text((wide / 2, size), PICTURE_NOTICE, font=font, fill=255, anchor="mm")
    full = np.full((height + strip.height, wide, *pixels.shape[2:]), _NOTICE_GROUND, np.uint8)
    full[:height, :width] = pixels
    full[height:] = np.asarray(strip) if pixels.ndim == 2 else np.asarray(strip)[..., None]
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        full[height:, :, 3] = full[:height, width:, 3] = 255
    return full


def scan_png(scan: Array, path: Path) -> None:
    """Write a scan as it went into the network, alone and without marks, at least 320 pixels wide (bicubic).

    Args:
        scan: (H, W), (H, W, 1) or (H, W, 3) in [0, 1]; of other channel counts the first three become red, green and blue.
        path: of the PNG.
    """
    finished_png(scan_pixels(scan), path)


def scan_pixels(scan: Array) -> NDArray[np.uint8]:
    """The pixels of `scan_png`: (H, W), or (H, W, 3) for scans in color."""
    pixels = _enlarge(_as_channels(scan), Image.Resampling.BICUBIC)
    return _to_uint8(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def heat_layer(map_HW: Array, covered_HW: NDArray[np.bool_], *, scale: float) -> NDArray[np.uint8]:
    """Signed evidence as a layer (H, W, 4) to be laid over the scan: clear where there is little, or no value.

    It has the pixels of the map: what shows it makes it as large as the scan, between the middles of pixels (bilinear).

    Args:
        map_HW: signed evidence at the resolution of the scan.
        covered_HW: where it has a value.
        scale: |value| shown in full color.
    """
    _check_overlay(np.asarray(map_HW)[..., None], map_HW, scale, covered_HW, None)
    strength = np.where(covered_HW & np.isfinite(map_HW), map_HW, 0.0) / scale
    return _to_uint8(np.concatenate([evidence_rgb(strength), evidence_alpha(strength)[..., None]], axis=-1))


def region_png(scan: Array, region_HW: NDArray[np.bool_] | None, path: Path) -> None:
    """Write a gray scan with a region outlined in yellow between black: seen on any ground, and in print.

    Args:
        scan: as in `scan_png`.
        region_HW: True inside; None for the scan alone.
        path: of the PNG.

    Raises:
        ValueError: if the region has not the size of the scan.
    """
    base = _as_channels(scan)
    region = np.zeros(base.shape[:2], dtype=bool) if region_HW is None else np.asarray(region_HW, dtype=bool)
    if region.shape != base.shape[:2]:
        raise ValueError(f"region_HW must have the size of the scan, {base.shape[:2]}, got {region.shape}")
    picture = np.repeat(_enlarge(_luminance(base)[..., None], Image.Resampling.BICUBIC), 3, axis=-1)
    inside = _nearest(region, picture.shape[:2])
    for width, color in ((_LINE_PX + 1, (0.0, 0.0, 0.0)), (_LINE_PX, _LINE_RGB), (1, (0.0, 0.0, 0.0))):
        picture = np.where((_grown(inside, width) & ~inside)[..., None], np.asarray(color, dtype=np.float32), picture)
    finished_png(_to_uint8(picture), path)


def overlay_png(
    scan: Array,
    map_HW: Array,
    *,
    scale: float,
    covered_HW: NDArray[np.bool_],
    mask_HW: NDArray[np.integer] | NDArray[np.bool_] | None = None,
    path: Path,
    is_two_sided: bool = False,
) -> None:
    """Write signed evidence over the gray scan: warm for the explained class, cool against it, clear where there is little.

    The ring marks the strongest evidence for the class (or, of two-sided maps, the largest difference); black and white dashes outline the lesion. Pixels that the layer does not
    cover are dimmed and never colored. A blank map gets no color but the words "uninformative map".

    Args:
        scan: as in `scan_png`.
        map_HW: signed evidence at the resolution of the scan.
        scale: |value| shown in full color, fixed over the cohort (see `display_scale`).
        covered_HW: where the map has a value.
        mask_HW: not 0 in the marked lesion; None if none is known.
        path: of the PNG.
        is_two_sided: both signs mean the same, as in a residual.
    """
    base = _as_channels(scan)
    mask = None if mask_HW is None else np.asarray(mask_HW) != 0
    _check_overlay(base, map_HW, scale, covered_HW, mask)
    strength = np.where(covered_HW & np.isfinite(map_HW), map_HW, 0.0) / scale
    is_blank = bool(np.abs(strength).max(initial=0.0) < BLANK_SHARE)
    gray = _enlarge(_luminance(base)[..., None], Image.Resampling.BICUBIC)
    picture = np.repeat(gray, 3, axis=-1)
    covered = _nearest(covered_HW, picture.shape[:2])
    picture[~covered] *= 0.55
    if not is_blank:
        shown = _enlarge(strength[..., None], Image.Resampling.BILINEAR)[..., 0] * covered
        alpha = evidence_alpha(shown)[..., None]
        picture = picture * (1 - alpha) + evidence_rgb(shown) * alpha
    image = Image.fromarray(_to_uint8(_outlined(picture, mask)))
    if is_blank:
        _stamp(image, UNINFORMATIVE)
    else:
        _mark_peak(image, np.abs(strength) if is_two_sided else strength)
    finished_png(np.asarray(image), path)


def filters_png(filters_NCHW: Array, path: Path) -> None:
    """Write the first 64 convolution filters as tiles on one shared scale: mid-gray is zero, brighter positive.

    Filters of three channels are shown in color; of other counts, one tile for each channel.
    """
    filters = np.asarray(filters_NCHW, dtype=np.float64)
    if filters.ndim != 4 or filters.size == 0:
        raise ValueError(f"filters_NCHW must have 4 non-empty axes (N, C, H, W), got shape {filters.shape}")
    largest = float(np.abs(filters).max()) or 1.0
    shown = 0.5 + filters / (2 * largest)
    if filters.shape[1] == 3:
        tiles = [np.moveaxis(one, 0, -1) for one in shown[:MAX_TILES]]
    else:
        tiles = [np.repeat(one[..., None], 3, axis=-1) for one in shown.reshape(-1, *filters.shape[2:])[:MAX_TILES]]
    write_png(_mosaic(tiles, tile_width=44), path)


def feature_maps_png(maps_CHW: Array, path: Path) -> None:
    """Write the first 64 feature maps of a case as tiles on one shared scale (0.5th to 99.5th percentile of all of them)."""
    maps = np.asarray(maps_CHW, dtype=np.float64)
    if maps.ndim != 3 or maps.size == 0:
        raise ValueError(f"maps_CHW must have 3 non-empty axes (C, H, W), got shape {maps.shape}")
    low, high = np.percentile(maps, [0.5, 99.5])
    shown = np.clip((maps - low) / (high - low), 0, 1) if high > low else np.zeros_like(maps)
    tiles = [np.repeat(one[..., None], 3, axis=-1) for one in shown[:MAX_TILES]]
    finished_png(_mosaic(tiles, tile_width=88), path)


def save_map(path: Path, *, map: Array, cells: Array, covered: NDArray[np.bool_], scan: Array) -> None:
    """Write the raw numbers behind an overlay as a compressed .npz; equal arrays give equal bytes.

    Args:
        path: of the file.
        map: (H, W) signed evidence at the resolution of the input.
        cells: (h, w) the same at the resolution of the layer.
        covered: (H, W) where the map has a value.
        scan: (H, W) or (H, W, C) in [0, 1].
    """
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        map=np.asarray(map, dtype=np.float32),
        cells=np.asarray(cells, dtype=np.float32),
        covered=np.asarray(covered, dtype=bool),
        scan=np.asarray(scan, dtype=np.float32),
    )
    write_bytes(path, buffer.getvalue())


def enlargement(width: int) -> int:
    """The whole factor by which pictures of this width are enlarged."""
    return max(1, math.ceil(MIN_WIDTH / width))


def _check_overlay(
    base: Array, map_HW: Array, scale: float, covered_HW: NDArray[np.bool_], mask_HW: NDArray[np.bool_] | None
) -> None:
    size = base.shape[:2]
    for name, array in (("map_HW", map_HW), ("covered_HW", covered_HW), ("mask_HW", mask_HW)):
        if array is not None and array.shape != size:
            raise ValueError(
                f"{name} must have the size of the scan, {size}, got {array.shape}: register it to the input first"
            )
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be a positive number fixed over the cohort (see display_scale), got {scale}")


def _as_channels(scan: Array) -> Array:
    """(H, W, 1) or (H, W, 3)."""
    pixels = np.asarray(scan, dtype=np.float32)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.size == 0:
        raise ValueError(f"a scan must have the axes (H, W) or (H, W, C), got shape {pixels.shape}")
    pixels = np.clip(np.nan_to_num(pixels), 0.0, 1.0)
    if pixels.shape[-1] == 2:
        return np.concatenate([pixels, np.zeros_like(pixels[..., :1])], axis=-1)
    return pixels[..., :3]


def _luminance(pixels: Array) -> Array:
    """(H, W) gray, so that the colors of an overlay mean evidence and nothing else (ITU-R BT.601 weights)."""
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32)


def _enlarge(pixels: Array, method: Image.Resampling) -> Array:
    height, width = pixels.shape[:2]
    factor = enlargement(width)
    if factor == 1:
        return pixels.astype(np.float32)
    planes = [Image.fromarray(np.ascontiguousarray(pixels[..., c], dtype=np.float32)) for c in range(pixels.shape[-1])]
    return np.stack([np.asarray(one.resize((width * factor, height * factor), method)) for one in planes], axis=-1)


def _nearest(flags: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    factor = size[0] // flags.shape[0]
    return np.repeat(np.repeat(np.asarray(flags, dtype=bool), factor, axis=0), factor, axis=1)


def _outlined(picture: Array, mask_HW: NDArray[np.bool_] | None) -> Array:
    """Black and white dashes along the inner edge of the mask: seen on any background."""
    if mask_HW is None or not mask_HW.any():
        return picture
    mask = np.pad(_nearest(mask_HW, picture.shape[:2]), 2)
    inside = mask.copy()
    for axis in (0, 1):
        for shift in (-2, -1, 1, 2):
            inside &= np.roll(mask, shift, axis=axis)
    edge = (mask & ~inside)[2:-2, 2:-2]
    dashes = (np.indices(edge.shape).sum(axis=0) // 7 % 2).astype(picture.dtype)
    outlined: Array = np.where(edge[..., None], dashes[..., None], picture)
    return outlined


def _grown(inside: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """The region and all that is within so many pixels of it along rows and columns."""
    flags = Image.fromarray(inside.astype(np.uint8)).filter(ImageFilter.MaxFilter(2 * pixels + 1))
    return np.asarray(flags) > 0


def _mark_peak(image: Image.Image, strength: Array) -> None:
    """A ring around the strongest evidence for the class; none if there is only evidence against it."""
    y, x = np.unravel_index(int(np.argmax(strength)), strength.shape)
    if strength[y, x] < BLANK_SHARE:
        return
    factor = image.width / strength.shape[1]
    center_x, center_y = (float(x) + 0.5) * factor, (float(y) + 0.5) * factor
    pen = ImageDraw.Draw(image)
    radius = max(8.0, image.width / 40)
    for size, color in ((radius + 1.5, "black"), (radius, "white"), (radius - 2, "black")):
        pen.ellipse((center_x - size, center_y - size, center_x + size, center_y + size), outline=color, width=2)


def _stamp(image: Image.Image, text: str) -> None:
    """Words on a dark plate across the middle."""
    pen = ImageDraw.Draw(image, "RGBA")
    font = ImageFont.load_default(size=max(14, image.width // 14))
    box = pen.textbbox((image.width / 2, image.height / 2), text, font=font, anchor="mm")
    pen.rectangle((0, box[1] - 10, image.width, box[3] + 10), fill=(20, 20, 20, 215))
    pen.text((image.width / 2, image.height / 2), text, font=font, fill="white", anchor="mm")


def _mosaic(tiles: Sequence[Array], *, tile_width: int, gap: int = 3) -> NDArray[np.uint8]:
    """(H, W, 4) tiles in [0, 1] on a clear ground, enlarged without smoothing so that single weights can be seen."""
    factor = max(1, round(tile_width / tiles[0].shape[1]))
    large = [np.repeat(np.repeat(_to_uint8(one), factor, axis=0), factor, axis=1) for one in tiles]
    height, width = large[0].shape[:2]
    columns = min(len(large), max(1, round(math.sqrt(len(large) * 2 * height / width))))
    rows = math.ceil(len(large) / columns)
    sheet = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, 4), dtype=np.uint8)
    for place, tile in enumerate(large):
        top, left = (place // columns) * (height + gap), (place % columns) * (width + gap)
        sheet[top : top + height, left : left + width, :3] = tile
        sheet[top : top + height, left : left + width, 3] = 255
    return sheet


def _to_uint8(pixels: Array) -> NDArray[np.uint8]:
    return np.rint(np.clip(pixels, 0.0, 1.0) * 255).astype(np.uint8)
