"""The same over plain HTTP: pip install requests"""

import base64
import os
import sys
import uuid

import requests

url = os.environ.get("BRIDGE_URL", "http://127.0.0.1:8189")
headers = {
    "Idempotency-Key": uuid.uuid4().hex
}  # if the request is repeated after a lost connection, the prompt still runs only once
if os.environ.get("COMFYBRIDGE_API_KEY"):
    headers["X-API-Key"] = os.environ["COMFYBRIDGE_API_KEY"]

body = {"prompt": "a cat", "steps": 12, "seed": 7, "timeout": 300}
for _ in range(3):
    try:
        answer = requests.post(f"{url}/generate", json=body, headers=headers, timeout=330).json()
        break
    except requests.ConnectionError as error:
        print(f"No answer: {error}", file=sys.stderr)
else:
    sys.exit(1)

if answer["status"] != "success":
    sys.exit(answer["error"])  # answer["type"] is for programs
for warning in answer["warnings"]:
    print(warning, file=sys.stderr)
with open("cat.png", "wb") as file:
    file.write(base64.b64decode(answer["images"][0]))
print("cat.png")
