"""What this project adds to needle."""

from .softplus import Softplus, softplus
