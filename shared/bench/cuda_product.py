"""One product of two n x n matrices by a rung of cuda(): `python cuda_product.py RUNG N`."""

import sys

import measure
from needle import backend_ndarray as nd

measure.speak_plainly()
rung, n = sys.argv[1], int(sys.argv[2])
device = nd.cuda()
a, b, out = (device.Array(n * n) for _ in range(3))
device.fill(a, 2.0)
device.fill(b, 3.0)
getattr(device, f"matmul_{rung}")(a, b, out, n, n, n)
if device.to_numpy(out, [1], [1], 0)[0] != 6 * n:
    raise SystemExit("its values are wrong, or it is not written yet")
