"""Right values with wrong gradients, each with the rung that must catch it, and functions that must pass all rungs."""

from tests.verify.gradients.sabotaged_covariance import COVARIANCE_SABOTAGE, IM2COL
from tests.verify.gradients.sabotaged_layers import LAYER_SABOTAGE, LINEAR_SABOTAGE, RIGHT_LAYER, RIGHT_LINEAR
from tests.verify.gradients.sabotaged_roots import RIGHT_ROOTS, ROOT_SABOTAGE

SABOTAGE = ROOT_SABOTAGE + COVARIANCE_SABOTAGE + LAYER_SABOTAGE + LINEAR_SABOTAGE
RIGHT = (*RIGHT_ROOTS, IM2COL, RIGHT_LAYER, RIGHT_LINEAR)
