"""Asks a master and an agent through pymesos's operator client, and watches the
master's event stream until a task of the name given has been seen running.

usage: operator_client.py MASTER AGENT TASK
Prints one JSON object with what the calls returned.
"""
import json
import sys
import threading

from pymesos import MesosOperatorAgentDriver, MesosOperatorMasterDriver, OperatorMaster


class Watcher(OperatorMaster):
    def __init__(self, task):
        self.task = task
        self.events = []
        self.running = threading.Event()

    def note(self, kind, event):
        self.events.append(kind)
        print(kind, json.dumps(event), file=sys.stderr, flush=True)

    def taskAdded(self, task_info):
        self.note("TASK_ADDED", task_info)

    def taskUpdated(self, task_info):
        self.note("TASK_UPDATED", task_info)
        status = task_info["status"]
        if status["task_id"]["value"] == self.task and status["state"] == "TASK_RUNNING":
            self.running.set()

    def frameworkAdded(self, framework_info):
        self.note("FRAMEWORK_ADDED", framework_info)

    def frameworkUpdated(self, framework_info):
        self.note("FRAMEWORK_UPDATED", framework_info)

    def frameworkRemoved(self, framework_info):
        self.note("FRAMEWORK_REMOVED", framework_info)

    def agentAdded(self, agent_info):
        self.note("AGENT_ADDED", agent_info)

    def agentRemoved(self, agent_info):
        self.note("AGENT_REMOVED", agent_info)


class Driver(MesosOperatorMasterDriver):
    def on_subscribed(self, info):
        agents = info["get_state"]["get_agents"]["agents"]
        print("subscribed, agents:", len(agents), file=sys.stderr, flush=True)


def main(master, agent, task):
    watcher = Watcher(task)
    driver = Driver(master, watcher)
    driver.start()
    if not watcher.running.wait(60):
        print("the task was not seen running", file=sys.stderr)
        return 1
    agents = MesosOperatorAgentDriver(agent)
    answers = dict(
        events=sorted(set(watcher.events)),
        master=dict(
            health=driver.getHealth(), version=driver.getVersion(), flags=driver.getFlags(),
            metrics=driver.getMetrics(1000000000), state=driver.getState(),
            frameworks=driver.getFrameworks(), executors=driver.getExecutors(),
            tasks=driver.getTasks(), agents=driver.getAgents(), roles=driver.getRoles(),
            master=driver.getMaster()),
        agent=dict(
            health=agents.getHealth(), version=agents.getVersion(), flags=agents.getFlags(),
            metrics=agents.getMetrics(1000000000), state=agents.getState(),
            frameworks=agents.getFrameworks(), executors=agents.getExecutors(),
            tasks=agents.getTasks(), containers=agents.getContainers()))
    print(json.dumps(answers))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
