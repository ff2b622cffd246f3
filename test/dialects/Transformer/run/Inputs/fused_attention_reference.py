"""Attention of one row in numpy, in f64."""
import numpy as np


def attend(q, k, v, q_pos, k_pos, valid, bias=0, slopes=None, sinks=None, head_mask=None, scale=1.0,
           causal=False, window=None, softcap=None, alibi_before_scale=False):
    """One row: q [S, H, D], k [C, Hkv, D], v [C, Hkv, Dv], valid [C] or [S, C]; (out [S, H * Dv], p)."""
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    group = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, group, 1), np.repeat(v, group, 1)
    s = np.einsum("shd,chd->hsc", q, k)
    distance = (k_pos[None, :] - q_pos[:, None]).astype(np.float64)
    alibi = 0 if slopes is None else slopes.astype(np.float64)[:, None, None] * distance
    s = (s + alibi) * scale if alibi_before_scale else s * scale
    if softcap:
        s = softcap * np.tanh(s / softcap)
    if not alibi_before_scale:
        s = s + alibi
    s = s + bias
    seen = np.broadcast_to(valid, s.shape[1:])
    if causal:
        seen = seen & (distance <= 0)
    if window:
        seen = seen & (-distance < window)
    s = np.where(seen, s, np.finfo(np.float32).min)
    top = s.max(-1, keepdims=True)
    if sinks is not None:
        sink = sinks.astype(np.float64)[:, None, None]
        top = np.maximum(top, sink)
    e = np.exp(s - top)
    p = e / (e.sum(-1, keepdims=True) + (0 if sinks is None else np.exp(sink - top)))
    if head_mask is not None:
        p = p * head_mask[:, None, None]
    return np.einsum("hsc,chd->shd", p, v).reshape(q.shape[0], -1), p
