# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The decoder of each encoding, and which packets can be decoded at all."""
from __future__ import annotations

from depth_anyevent_ros.events.evt3 import Evt3Decoder
from depth_anyevent_ros.events.libcaer_cmp import LibcaerCmpDecoder
from depth_anyevent_ros.events.packet_decoder import PacketDecoder
from depth_anyevent_ros.events.records import LibcaerDecoder, MonoDecoder
from depth_anyevent_ros.events.types import Packet, PacketError

Decoder = Evt3Decoder | PacketDecoder
DECODERS = {decoder.encoding: decoder
            for decoder in (Evt3Decoder, LibcaerDecoder, LibcaerCmpDecoder, MonoDecoder)}
# What decoders count of events that they drop.
DROPPED = ('out_of_range', 'unknown_words', 'corrupt_times', 'unsynchronised', 'truncated')
# The year 2116; twice a time has to fit into 63 bits.
LATEST_NS = 1 << 62


def make_decoder(packet: Packet) -> Decoder:
    """Return a decoder for a stream that begins with a packet that was checked."""
    return DECODERS[packet.encoding](packet.width, packet.height)


def check_packet(packet: Packet) -> None:
    """Raise PacketError for a packet that no decoder here can use."""
    if packet.encoding not in DECODERS:
        raise PacketError(
            f'event packets are encoded as {packet.encoding!r}; this version decodes '
            f'{", ".join(sorted(DECODERS))}. Set the driver to one of these.')
    most = DECODERS[packet.encoding].max_side
    if not (0 < packet.width <= most and 0 < packet.height <= most):
        raise PacketError(
            f'an event packet says that the sensor has {packet.width}x{packet.height} pixels; '
            f'expected 1 to {most} each. The driver must fill in width and height.')
    if packet.time_base > LATEST_NS:
        raise PacketError(f'an event packet has the time_base {packet.time_base} ns, which is '
                          'later than the year 2116: it is damaged.')
