from course_testing.session import *

judge(__file__, ["python"], "np")
