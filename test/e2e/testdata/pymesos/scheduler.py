"""A framework on pymesos: runs tasks in a custom executor, talks to it, kills
one task, and ends when the last is done.

usage: scheduler.py MASTER PYTHON EXECUTOR
Prints "all done" and exits 0 when everything went as it should.
"""
import sys
import threading
from binascii import a2b_base64, b2a_base64

from pymesos import MesosSchedulerDriver, Scheduler

TASKS = ["t0", "t1", "t2", "t3"]
KILLED = "t3"  # stays until it is killed
TERMINAL = ("TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR",
            "TASK_LOST", "TASK_DROPPED", "TASK_GONE")


def scalar(name, value):
    return dict(name=name, type="SCALAR", scalar=dict(value=value))


class Echo(Scheduler):
    def __init__(self, python, executor):
        self.executor = dict(
            executor_id=dict(value="echo"), name="echo", framework_id=None,
            command=dict(value="%s %s" % (python, executor)),
            resources=[scalar("cpus", 0.1), scalar("mem", 32)])
        self.waiting = list(TASKS)
        self.states = {}
        self.echoed = False
        self.failure = None
        self.done = threading.Event()

    def fail(self, text):
        self.failure = text
        self.done.set()

    def registered(self, driver, framework_id, master_info):
        print("registered", framework_id.value, "with", master_info.version, flush=True)
        self.executor["framework_id"] = dict(value=framework_id.value)

    def resourceOffers(self, driver, offers):
        for offer in offers:
            if not self.waiting:
                driver.declineOffer(offer.id, dict(refuse_seconds=3600))
                continue
            cpus = sum(r.scalar.value for r in offer.resources if r.name == "cpus")
            if cpus < 0.1 + 0.1 * len(self.waiting):
                driver.declineOffer(offer.id, dict(refuse_seconds=0))
                continue
            tasks = [dict(
                task_id=dict(value=name), name=name,
                agent_id=dict(value=offer.agent_id.value), executor=self.executor,
                data=b2a_base64(name.encode()).strip().decode(),
                resources=[scalar("cpus", 0.1), scalar("mem", 32)])
                for name in self.waiting]
            self.waiting = []
            driver.launchTasks(offer.id, tasks, dict(refuse_seconds=1))

    def statusUpdate(self, driver, update):
        name, state = update.task_id.value, update.state
        print("update", name, state, update.get("message", ""), flush=True)
        self.states.setdefault(name, []).append(state)
        if name == KILLED and state == "TASK_RUNNING":
            driver.sendFrameworkMessage(
                update.executor_id, update.agent_id,
                b2a_base64(b"ping").strip().decode())
        if all(self.states.get(n, ["-"])[-1] in TERMINAL for n in TASKS):
            self.done.set()

    def frameworkMessage(self, driver, executor_id, agent_id, data):
        text = a2b_base64(data).decode()
        print("message", executor_id.value, text, flush=True)
        if text != "echo: ping":
            self.fail("message %r" % text)
        self.echoed = True
        driver.killTask(dict(value=KILLED))

    def executorLost(self, driver, executor_id, agent_id, status):
        print("executor lost", executor_id.value, status, flush=True)

    def error(self, driver, message):
        self.fail("error " + message)

    def processHeartBeat(self, driver):
        pass

    def verdict(self):
        if self.failure:
            return self.failure
        if not self.echoed:
            return "no message from the executor"
        for name in TASKS:
            last = "TASK_KILLED" if name == KILLED else "TASK_FINISHED"
            if self.states.get(name) != ["TASK_RUNNING", last]:
                return "%s went through %s" % (name, self.states.get(name))
        return None


def main(master, python, executor):
    scheduler = Echo(python, executor)
    framework = dict(user="root", name="pymesos-echo", hostname="localhost",
                     capabilities=[dict(type="PARTITION_AWARE")])
    driver = MesosSchedulerDriver(scheduler, framework, master, use_addict=True)
    driver.start()
    finished = scheduler.done.wait(60)
    verdict = scheduler.verdict() if finished else "not done after a minute: %s" % scheduler.states
    driver.stop()
    driver.join()
    print(verdict or "all done", flush=True)
    return 1 if verdict else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
