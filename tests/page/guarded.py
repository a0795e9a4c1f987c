"""The keys of a bridge that wants one, and what they may do."""

from __future__ import annotations

SHOP = "a-long-key-of-the-shop"
PRESS = "a-long-key-of-the-press"
GUEST = "a-long-key-of-a-guest"
API_KEYS = f"shop={SHOP},press={PRESS},guest={GUEST}"
# shop and press may do everything
POLICIES = """
guest:
  workflows: [txt2img]
  graphs: false
  server_info: false
  max_steps: 30
  max_pixels: 16384
  max_width: 256
  max_batch_size: 2
"""
