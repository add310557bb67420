"""An executor on pymesos. A task is its data: "t3" runs until it is killed, all
others finish at once. Messages are sent back with "echo: " before them."""
import sys
import threading
from binascii import a2b_base64, b2a_base64

from pymesos import Executor, MesosExecutorDriver


class Echo(Executor):
    def registered(self, driver, executor_info, framework_info, agent_info):
        print("registered", executor_info.executor_id.value,
              framework_info.name, agent_info.hostname, flush=True)

    def launchTask(self, driver, task):
        # Updates may not be sent from the thread that reads the events.
        threading.Thread(target=self.run, args=(driver, task)).start()

    def run(self, driver, task):
        name = a2b_base64(task.data).decode()
        print("task", name, flush=True)
        self.update(driver, task.task_id, "TASK_RUNNING")
        if name != "t3":
            self.update(driver, task.task_id, "TASK_FINISHED")

    def killTask(self, driver, task_id):
        threading.Thread(target=self.update, args=(driver, task_id, "TASK_KILLED")).start()

    def update(self, driver, task_id, state):
        driver.sendStatusUpdate(dict(task_id=dict(value=task_id.value), state=state))

    def frameworkMessage(self, driver, message):
        text = b"echo: " + a2b_base64(message)
        threading.Thread(
            target=driver.sendFrameworkMessage,
            args=(b2a_base64(text).strip().decode(),)).start()

    def shutdown(self, driver):
        print("shutdown", flush=True)


def main():
    driver = MesosExecutorDriver(Echo(), use_addict=True)
    driver.run()


if __name__ == "__main__":
    sys.exit(main())
